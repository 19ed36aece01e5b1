# SPDX-License-Identifier: GPL-2.0
# What people type; anything longer than a line or two is in scripts/.

KDIR ?= /lib/modules/$(shell uname -r)/build

all: module

module:
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

clean:
	rm -rf build

.PHONY: all module clean
