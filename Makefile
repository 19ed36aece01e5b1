# SPDX-License-Identifier: GPL-2.0
# What people type; what is longer than a line or two is in scripts/.

KDIR	?= /lib/modules/$(shell uname -r)/build
KERNEL	?= stock

all: module

module:
	@scripts/headers $(KDIR)
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

userspace selftests:
	$(MAKE) -C $@ all

install: userspace
	$(MAKE) -C userspace install

modules_install: module
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules_install

clean:
	rm -rf build
	[ ! -d $(KDIR) ] || $(MAKE) -C $(KDIR) M=$(CURDIR) clean

setup:
	@scripts/setup

# The main job: boot a kernel, load the module, show the four kinds of mapping.
run: setup
	@scripts/build $(KERNEL)
	@$(MAKE) -s -C userspace all
	@scripts/vm --kernel $(KERNEL) --load -- build/userspace/tour

shell: setup
	@scripts/build $(KERNEL)
	@$(MAKE) -s -C userspace all
	@scripts/vm --kernel $(KERNEL) --load --shell

test: setup
	@scripts/test

check: setup
	@scripts/check

bench: setup
	@scripts/bench

mutants: setup
	@scripts/mutants

soak: setup
	@scripts/soak $(KERNEL)

help:
	@sed "s/^ //" scripts/help.txt

.PHONY: all module userspace selftests install modules_install clean setup
.PHONY: run shell test check bench mutants soak help
