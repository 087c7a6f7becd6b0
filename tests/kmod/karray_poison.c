// SPDX-License-Identifier: GPL-2.0
/*
 * Memory with uncorrectable errors, without hardware that has them: the kernel's
 * machine-check-safe copies end at the lines of the cache that are named here, and
 * say how much they left, just as they do after a machine check.
 *
 *	insmod karray_poison.ko
 *	echo 0x100001040 >/sys/module/karray_poison/parameters/lines
 *
 * Writing such memory doesn't mend it: write a new list for that.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/vmalloc.h>

#define POISON_LINE	64	/* bytes that an error makes unreadable */

static unsigned long long lines[8];
static unsigned int nr_lines;
module_param_array(lines, ullong, &nr_lines, 0644);
MODULE_PARM_DESC(lines, "Physical addresses that can't be read, 0 for none");

static atomic_t met = ATOMIC_INIT(0);
module_param_named(met, met.counter, int, 0444);
MODULE_PARM_DESC(met, "How many copies met one of them");

/* How much of @len bytes from physical address @start can be read. */
static unsigned long poison_readable(u64 start, unsigned long len)
{
	u64 end = start + len;
	unsigned int i;

	for (i = 0; i < READ_ONCE(nr_lines); i++) {
		u64 line = READ_ONCE(lines[i]) & ~(POISON_LINE - 1ULL);

		if (line && line < end && line + POISON_LINE > start)
			end = max(line, start);
	}
	return end - start;
}

/* The copies take (to, from, bytes) and return how many bytes they have left. */
static int poison_begin(struct kretprobe_instance *call, struct pt_regs *regs)
{
	void *from = (void *)regs_get_kernel_argument(regs, 1);
	unsigned int len = regs_get_kernel_argument(regs, 2);
	unsigned int *left = (unsigned int *)call->data;
	u64 start;

	if (!is_vmalloc_addr(from))
		return 1;	/* let it go */
	start = PFN_PHYS(vmalloc_to_pfn(from)) + offset_in_page(from);
	*left = len - poison_readable(start, len);
	if (!*left)
		return 1;
	regs->dx = len - *left;
	atomic_inc(&met);
	return 0;	/* go on to poison_end() */
}

static int poison_end(struct kretprobe_instance *call, struct pt_regs *regs)
{
	unsigned int *left = (unsigned int *)call->data;

	regs_set_return_value(regs, regs_return_value(regs) + *left);
	return 0;
}

#define POISON_PROBE(function) {				\
	.kp.symbol_name	= function,				\
	.entry_handler	= poison_begin,				\
	.handler	= poison_end,				\
	.data_size	= sizeof(unsigned int),			\
	.maxactive	= 64,					\
}

static struct kretprobe to_kernel = POISON_PROBE("copy_mc_to_kernel");
static struct kretprobe to_user = POISON_PROBE("copy_mc_to_user");
static struct kretprobe *probes[] = { &to_kernel, &to_user };

static int __init poison_init(void)
{
	int ret = register_kretprobes(probes, ARRAY_SIZE(probes));

	if (ret)
		pr_err("can't be where memory is copied: error %d\n", ret);
	return ret;
}

static void __exit poison_exit(void)
{
	unregister_kretprobes(probes, ARRAY_SIZE(probes));
}

module_init(poison_init);
module_exit(poison_exit);

MODULE_AUTHOR("The karray developers");
MODULE_DESCRIPTION("Memory with uncorrectable errors, for tests");
MODULE_LICENSE("GPL");
