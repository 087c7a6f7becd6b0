// SPDX-License-Identifier: GPL-2.0
/*
 * Makes adding a disk fail late, as for lack of memory: the link named "bdi" in sysfs
 * can't be made, as long as this is loaded. With node=1 it is adding the first char node
 * that fails, after it can be opened: when "go" is set, or after ten seconds.
 */
#include <linux/errno.h>
#include <linux/kobject.h>
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/processor.h>
#include <linux/ptrace.h>
#include <linux/string.h>

static bool fail_node;
module_param_named(node, fail_node, bool, 0444);
static bool go;
module_param(go, bool, 0644);

/* int sysfs_create_link(struct kobject *kobj, struct kobject *target, const char *name) */
static int fail_entry(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct kobject *kobj = (void *)regs_get_kernel_argument(regs, 0);
	const char *name = (const char *)regs_get_kernel_argument(regs, 2);

	if (!fail_node)
		return strcmp(name, "bdi");	/* not 0: let it go */
	return strcmp(name, "subsystem") || strcmp(kobject_name(kobj), "karray");
}

static int fail_return(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	ktime_t end = ktime_add_ms(ktime_get(), 10000);

	regs_set_return_value(regs, -ENOMEM);
	/* By the clock: an emulated CPU may not know how long a loop takes. */
	while (fail_node && !READ_ONCE(go) && ktime_before(ktime_get(), end))
		cpu_relax();
	return 0;
}

static struct kretprobe fail_probe = {
	.kp.symbol_name = "sysfs_create_link",
	.entry_handler = fail_entry,
	.handler = fail_return,
};

static int __init karray_fail_init(void)
{
	return register_kretprobe(&fail_probe);
}

static void __exit karray_fail_exit(void)
{
	unregister_kretprobe(&fail_probe);
}

module_init(karray_fail_init);
module_exit(karray_fail_exit);

MODULE_DESCRIPTION("karray test: a disk, or a char node, that can't be added");
MODULE_LICENSE("GPL");
