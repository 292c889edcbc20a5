# `make` alone lists the targets. Every target may be run again: what is done is not done twice.
.DEFAULT_GOAL := help
.PHONY: help setup mirror test test-image test-smoke test-appliance test-soak bench digits demo-bundle pictures

BIN := .venv/bin

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

setup: ## system packages, .venv and the project with everything; nothing else
	@provisioning/setup.sh all

mirror: ## set up what the mirror needs, and open it (ARGS="..." are flags of ytm-mirror)
	@provisioning/setup.sh device
	$(BIN)/ytm-mirror $(ARGS)

test: setup ## set up everything, then check and test it all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest $(ARGS)

IMAGE := build/appliance
test-image: setup ## make the image that the virtual machines of the tests boot (as root)
	@provisioning/setup.sh image
	mkdir -p $(IMAGE)
	[ -f $(IMAGE)/key ] || ssh-keygen -q -t ed25519 -N "" -f $(IMAGE)/key
	rm -rf $(IMAGE)/light.bundle && $(BIN)/python tests/appliance/light_bundle.py $(IMAGE)/light.bundle
	$(BIN)/ytm-image --target debian-amd64 --bundle $(IMAGE)/light.bundle --out $(IMAGE)/mirror.img --ssh-key $(IMAGE)/key.pub --console ttyS0

test-smoke test-appliance: export YTM_IMAGE = $(IMAGE)/mirror.img
test-smoke test-appliance: export YTM_IMAGE_KEY = $(IMAGE)/key
test-smoke: setup ## the image once in a virtual machine: start, picture, sound, health, a kill, a power cut (as root)
	[ -f $(IMAGE)/mirror.img ] || $(MAKE) test-image
	$(BIN)/pytest tests/appliance/test_image.py -s $(ARGS)

test-appliance: export YTM_CUTS ?= 10
test-appliance: test-image ## the units under a real systemd in a container, and the image in virtual machines (as root)
	$(BIN)/pytest tests/appliance -s $(ARGS)

SOUND_SOAK_S ?= 600
test-soak: export YTM_SOAK_S ?= 3600
test-soak: export YTM_KILLS ?= 100
test-soak: export YTM_BITES ?= 3
test-soak: export YTM_CAMERA_CYCLES ?= 2000
test-soak: export YTM_BUILD_KILLS ?= 50
test-soak: export YTM_ALL_ENGINES ?= 1
test-soak: setup ## the long tests at full length: sound, privacy, camera, and an hour of faults at random
	YTM_SOAK_S=$(SOUND_SOAK_S) $(BIN)/pytest tests/device/test_sound_soak.py tests/device/test_privacy.py -s $(ARGS)
	$(BIN)/pytest tests/device/test_camera_cycles.py tests/faults -s $(ARGS)
	$(BIN)/pytest tests/build/engine/test_build_kills.py tests/build/engine/test_tensorrt_rtx.py -s $(ARGS)

# One thread each, so that the ratios are of work, not of how it was shared out.
bench: export OPENBLAS_NUM_THREADS = 1
bench: export OMP_NUM_THREADS = 1
bench: setup ## our hot functions beside librosa's and the obvious way, as ratios; how good and how steady the sound is
	$(BIN)/pytest tests/benchmarks --benchmark-only
	$(BIN)/python tests/benchmarks/sound_quality.py
	$(BIN)/python tests/benchmarks/steadiness.py

digits: setup ## association measured on labelled digits, as a table (DIGITS=DIR holds the recordings and pictures)
	$(BIN)/python -m ytm_training.digits "$(DIGITS)" $(ARGS)

demo-bundle: setup ## make the demo bundle again (VIDEOS=DIR MANIFEST=FILE add open videos to the drawn scenes)
	$(BIN)/python -m ytm_build.demo --out device/ytm_device/demo_bundle \
		$(if $(VIDEOS),--videos "$(VIDEOS)") $(if $(MANIFEST),--manifest "$(MANIFEST)") $(ARGS)

pictures: setup ## make docs/listen.md with its pictures and sounds again, from the demo bundle (VIDEOS=DIR MANIFEST=FILE add open clips)
	$(BIN)/python -m ytm_build.pictures --out docs \
		$(if $(VIDEOS),--videos "$(VIDEOS)") $(if $(MANIFEST),--manifest "$(MANIFEST)") $(ARGS)
