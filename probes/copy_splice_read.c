// SPDX-License-Identifier: GPL-2.0
/* Splicing from what isn't in the page cache has a function of its own (v6.5). */
#include <linux/fs.h>

const struct file_operations karray_probe = {
	.splice_read = copy_splice_read,
};
