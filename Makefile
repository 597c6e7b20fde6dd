# One command per habit; continuous integration runs the same ones. `make help` lists them.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv/bin
# numpy, torch and onnxruntime would each start a thread per core and fight over two.
export OMP_NUM_THREADS ?= 2

.DEFAULT_GOAL := help
.PHONY: help python setup demo demo-phone phone test-phone test test-unit test-faults test-host test-browser lint format screenshots thumbnails
.PHONY: bench-engine bench-engine-large bench-model bench-device bench-accelerate bench-precision bench-coreml bench-bridge bench-phone bench-fewstep bench-fewstep-ablation tables clean

help:  ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: name one, as in 'make PYTHON=python3.12 $(MAKECMDGOALS)'."; exit 1; }

setup: python  ## Make .venv, .comfyui (the real ComfyUI) and .device; a second run returns at once
	@$(PYTHON) tools/environments.py dev host device

demo: setup  ## Run the quickstart in ComfyUI and on a paired device, and compare the two videos
	@PYTHONPATH=tools:tests $(VENV)/python -m demo $(DEMO)

demo-phone: setup  ## Send the quickstart to your own phone: shows the code to scan, and waits
	@PYTHONPATH=tools:tests $(VENV)/python -m demo.phone $(DEMO)

phone: python  ## Build the phone's app, which the bridge serves and the wheel carries
	@$(PYTHON) tools/phone.py build

test-phone: python  ## Run the tests of the phone's app: its logic, then all of it in a browser
	@$(PYTHON) tools/environments.py dev
	@$(PYTHON) tools/phone.py test
	@$(VENV)/python -m pytest tests/phone_engine tests/phone

test: setup  ## Run all tests: unit, faults, in the real ComfyUI, in a browser, and on a phone
	@$(PYTHON) tools/phone.py test
	@$(VENV)/python -m pytest tests/unit tests/faults tests/host tests/browser tests/phone_engine tests/phone

test-unit: python  ## Run the tests that need neither ComfyUI nor a browser
	@$(PYTHON) tools/environments.py dev device
	@$(VENV)/python -m pytest tests/unit

test-faults: python  ## Kill processes, fill disks and cut networks (Linux; needs iproute2 and libfaketime)
	@$(PYTHON) tools/environments.py dev device
	@$(VENV)/python -m pytest tests/faults

test-host: setup  ## Run the tests in the real ComfyUI
	@$(VENV)/python -m pytest tests/host

test-browser: setup  ## Run the tests in Chromium: ComfyUI's own frontend, and the phone's engine
	@$(VENV)/python -m pytest tests/browser tests/phone_engine

lint: python  ## Check style, formatting, types and the one-way imports
	@$(PYTHON) tools/environments.py dev
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/python tools/typecheck.py
	@$(VENV)/lint-imports
	@$(PYTHON) tools/phone.py check

format: python  ## Put the code into the one format
	@$(PYTHON) tools/environments.py dev
	@$(VENV)/ruff check --fix .
	@$(VENV)/ruff format .
	@$(PYTHON) tools/phone.py format

screenshots: demo  ## Take the pictures in docs/images anew, from the real editor and the demo
	@POCKETVIDEO_SCREENSHOTS=docs/images $(VENV)/python -m pytest tests/browser tests/phone/test_whole_way.py
	@cp demo-output/side-by-side.png docs/images/

thumbnails: setup  ## Make the pictures of the template browser anew, from what the workflows make
	@PYTHONPATH=tools:tests $(VENV)/python tools/thumbnails.py

bench-model: python  ## Measure the demo model on held-out prompts
	@$(PYTHON) tools/environments.py dev
	@$(VENV)/python benchmarks/bench_model.py

bench-fewstep: python  ## Measure the few-step student against its teacher
	@$(PYTHON) tools/environments.py dev
	@$(VENV)/python benchmarks/bench_fewstep.py

# Beside other work: threads that spin while they wait would hold each other up.
bench-fewstep-ablation: python  ## Train and compare the short few-step recipes (about an hour; goes on when stopped)
	@$(PYTHON) tools/environments.py dev
	@OMP_WAIT_POLICY=PASSIVE nice -n 5 $(VENV)/python benchmarks/bench_fewstep_ablation.py

bench-device: python  ## Measure how well a device agrees with the desk, and how fast it is
	@$(PYTHON) tools/environments.py dev
	@$(VENV)/python benchmarks/bench_device.py

bench-accelerate: setup  ## Measure what Leap and Merge save in ComfyUI, and what they cost
	@$(VENV)/python benchmarks/bench_accelerate.py

bench-engine: python  ## Measure what a memory budget costs: time and peak of a streamed network
	@$(PYTHON) tools/environments.py dev
	@$(VENV)/python benchmarks/bench_engine.py

bench-engine-large: python  ## Run a step of a network of 4.8 GB in less than 1 GB
	@$(PYTHON) tools/environments.py dev
	@$(VENV)/python benchmarks/bench_engine.py --model stdit3_xl2

bench-precision: python  ## Measure what fewer bits and other forms of attention save and cost
	@$(PYTHON) tools/environments.py dev
	@$(VENV)/python benchmarks/bench_precision.py

bench-coreml: python  ## Convert networks to Core ML and compare them with torch
	@$(PYTHON) tools/environments.py dev
	@$(VENV)/python benchmarks/bench_coreml.py

bench-bridge: python  ## Measure a push beside a plain sendfile, the bridge's memory, and 50 devices at once
	@$(PYTHON) tools/environments.py dev device
	@$(VENV)/python benchmarks/bench_bridge.py

bench-phone: python  ## Measure the phone's engine and app in a browser: time, memory of tab and GPU, leaks
	@$(PYTHON) tools/environments.py dev
	@$(VENV)/python benchmarks/bench_phone.py; engine=$$?; \
	  $(VENV)/python benchmarks/bench_phone_app.py && exit $$engine

tables: python  ## Write the docs' benchmark tables anew from docs/benchmarks
	@$(PYTHON) tools/environments.py dev
	@$(VENV)/python tools/tables.py

clean:  ## Remove the environments and everything that commands made
	rm -rf .venv .comfyui .device .cache build dist demo-output *.egg-info
	rm -rf mobile_runtime/phone/dist mobile_runtime/phone/node_modules
