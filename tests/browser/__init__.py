"""Tests that drive ComfyUI's own frontend as a person does."""
