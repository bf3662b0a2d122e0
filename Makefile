#  SPDX-License-Identifier: MIT
#
# make help says what there is.

SHELL = /bin/bash
.DEFAULT_GOAL = help
MAKEFLAGS += --no-print-directory

# Where things go.  systemd's own words where it tells them; its /lib is today's /usr/lib.
systemd_variable = $(shell pkg-config --variable=$(1) systemd 2>/dev/null | sed 's,^/lib/,/usr/lib/,')
DESTDIR ?=
PREFIX ?= /usr
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
LIBDIR = $(PREFIX)/lib/extensionctl
UNITDIR ?= $(or $(call systemd_variable,systemdsystemunitdir),/usr/lib/systemd/system)
GENERATORDIR ?= $(or $(call systemd_variable,systemdsystemgeneratordir),/usr/lib/systemd/system-generators)
TMPFILESDIR ?= $(or $(call systemd_variable,tmpfilesdir),/usr/lib/tmpfiles.d)
PYTHON ?= /usr/bin/python3
# mount(8) looks for its helpers nowhere else, whatever the prefix is.
SBINDIR ?= /usr/sbin

places = DESTDIR='$(DESTDIR)' BINDIR='$(BINDIR)' SBINDIR='$(SBINDIR)' MANDIR='$(MANDIR)' \
	COMPLETIONDIR='$(COMPLETIONDIR)' LIBDIR='$(LIBDIR)' UNITDIR='$(UNITDIR)' GENERATORDIR='$(GENERATORDIR)' \
	TMPFILESDIR='$(TMPFILESDIR)' PYTHON='$(PYTHON)' FORCE='$(FORCE)'

CACHE := $(shell tests/prepare where)
SUITES ?= bookworm trixie sid
export SUITES
VENV = $(CACHE)/venv
JOBS ?= 2

IMAGE_TOOLS = squashfs-tools erofs-utils btrfs-progs e2fsprogs
DEMO_TOOLS = systemd-container squashfs-tools gcc libc6-dev util-linux
TEST_TOOLS = debootstrap systemd-container $(IMAGE_TOOLS) python3-venv python3-systemd python3-iniparse gcc libc6-dev

.PHONY: help demo check check-packages unit lint format venv roots fuzz bench install uninstall clean

help:           ## this text
	@sed -n 's/^\([a-z-]*\):[^#]*## */  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22
	@echo
	@echo "  install and uninstall take DESTDIR=, PREFIX=, UNITDIR=, GENERATORDIR=, TMPFILESDIR=, PYTHON=, and FORCE=1"
	@echo "  for files that install did not put there, or that were changed since;"
	@echo "  check, check-packages, unit and lint take ARGS= for pytest, check and unit JOBS= (processes), check SUITES=;"
	@echo "  fuzz takes FUZZ_SECONDS= (600), FUZZ_INPUTS=, FUZZ_SEED=; ARGS= as tests/fuzz/start --help has them."
	@echo "  EXTENSIONCTL_CACHE= is where test roots and packages are kept."

demo:           ## shows it all in a throwaway container of this machine's own system (needs root)
	@[ "$$(id -u)" = 0 ] || { echo "make demo boots a container, which needs root: sudo make demo" >&2; exit 1; }
	@tests/prepare tools $(DEMO_TOOLS)
	@demo/run

venv:           ## the virtual environment of the test tools
	@tests/prepare tools $(TEST_TOOLS)
	@tests/prepare venv

roots: venv     ## the Debian roots that the boot tests copy (needs root)
	@[ "$$(id -u)" != 0 ] || tests/prepare root $(SUITES)

check: roots    ## all tests; as an ordinary user those that need no rights
	@PYTHONDONTWRITEBYTECODE=1 EXTENSIONCTL_CACHE=$(CACHE) \
		$(VENV)/bin/python -m pytest -q -n $(JOBS) --dist loadscope --no-loadscope-reorder $(ARGS)

check-packages: venv ## images of 48 real Debian packages, all merged at once (needs root and the network)
	@[ "$$(id -u)" = 0 ] || { echo "make check-packages mounts and boots, which needs root: sudo make check-packages" >&2; exit 1; }
	@tests/prepare root trixie
	@PYTHONDONTWRITEBYTECODE=1 EXTENSIONCTL_CACHE=$(CACHE) $(VENV)/bin/python -m pytest -q tests/packages $(ARGS)

unit: venv      ## the tests that need no rights, no mounts and no boot
	@PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python -m pytest -q -n $(JOBS) tests/unit tests/golden tests/asserts $(ARGS)

lint: venv      ## the linters: ruff and mypy
	@PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python -m pytest -q tests/test_linters.py $(ARGS)

format: venv    ## mends what ruff can mend, in all that the linters look at
	@files="$$(PYTHONPATH=tests $(VENV)/bin/python -B -c \
		'from test_linters import FOLDERS, _executables; print(*FOLDERS, *_executables())')" && \
		$(VENV)/bin/ruff check -q --no-cache --fix --exit-zero $$files && \
		$(VENV)/bin/ruff format -q --no-cache $$files

FUZZ_SECONDS ?= $(if $(FUZZ_INPUTS),inf,600)
fuzz:           ## random texts for everything that reads texts of others
	@$(PYTHON) -B tests/fuzz/start --seconds=$(FUZZ_SECONDS) $(FUZZ_INPUTS:%=--inputs=%) $(FUZZ_SEED:%=--seed=%) $(ARGS)

bench: venv     ## times, memory and lookups lost, beside others (needs root)
	@[ "$$(id -u)" = 0 ] || { echo "make bench mounts, which needs root: sudo make bench" >&2; exit 1; }
	@tests/prepare root trixie
	@EXTENSIONCTL_CACHE=$(CACHE) $(VENV)/bin/python -B bench/run $(ARGS)

install:        ## puts it into the system, or below DESTDIR
	@$(places) ./setup install

uninstall:      ## takes away exactly what install put there
	@$(places) ./setup uninstall

clean:          ## removes what tests leave in the checkout
	@find . -name __pycache__ -prune -exec rm -rf {} +
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build
