"""What `make bench-accelerate` measures, in rooms of one idea each.

* `host`: the script that runs inside ComfyUI's own Python, and writes raw figures as JSON;
* `shapes`: bars 1 and 2, real videos of pocket_shapes made through the real nodes;
* `attention`: bar 3, the time inside attention of large models with random weights;
* `clock`: how time is taken, on a processor or a graphics card;
* `summary`: rows and bars from the raw figures, `plot`: the picture. Neither needs ComfyUI.

The folder is not called accelerate: Hugging Face's library of that name would be hidden by it.
"""
