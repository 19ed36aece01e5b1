// SPDX-License-Identifier: GPL-2.0
/*
 * Parameters' values as people write them: sizes with K, M or G, octal modes.
 */

#include "mmapdev.h"

#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/overflow.h>
#include <linux/string.h>

/**
 * mmapdev_parse_size - a size in bytes, with K, M or G
 * @val: text, which need not end where the size does
 * @len: characters of it
 * @bytes: the size
 *
 * memparse() would do, but wraps around in silence.
 *
 * Return: 0; -EINVAL if that is not a size; -ERANGE if it is too large.
 */
int mmapdev_parse_size(const char *val, size_t len, unsigned long *bytes)
{
	unsigned int shift = 0;
	char number[32];
	int err;

	if (!len || len >= sizeof(number))
		return -EINVAL;
	strscpy(number, val, len + 1);
	switch (tolower(number[len - 1])) {
	case 'g':
		shift += 10;
		fallthrough;
	case 'm':
		shift += 10;
		fallthrough;
	case 'k':
		shift += 10;
		number[len - 1] = 0;
	}
	if (!isdigit(number[0]))	/* kstrtoul() takes a sign */
		return -EINVAL;
	err = kstrtoul(number, 0, bytes);
	if (err)
		return err;
	return check_shl_overflow(*bytes, shift, bytes) ? -ERANGE : 0;
}
EXPORT_SYMBOL_IF_KUNIT(mmapdev_parse_size);

static int mode_set(const char *val, const struct kernel_param *kp)
{
	u16 mode;
	int err = kstrtou16(val, 8, &mode);

	if (err)
		return err;
	if (!mode || mode & ~0777)	/* devtmpfs takes 0 for unset */
		return -EINVAL;
	*(umode_t *)kp->arg = mode;
	return 0;
}

static int mode_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%04o\n", *(umode_t *)kp->arg);
}

const struct kernel_param_ops mmapdev_mode_ops = {
	.set = mode_set,
	.get = mode_get,
};
