// SPDX-License-Identifier: GPL-2.0
/*
 * Settings: attributes of each device, that can be written while it is offline,
 * with module parameters of the same names for what a new device begins with.
 *
 * To add one: a member of struct karray_settings, a line in the tables of
 * parameters and attributes, and its limits in karray_settings_check().
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/kstrtox.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "karray.h"

#define KARRAY_MAX_DEPTH	10240	/* the block layer's */

/* What is wrong with settings, in a line for people. */
#define KARRAY_WHY_LEN		80

struct karray_settings karray_default_settings = {
	.queue_mode		= KARRAY_QUEUE_MQ,
	.poll_queues		= 1,
	.logical_block_size	= 512,
};

static const char *const karray_queue_modes[] = {
	[KARRAY_QUEUE_MQ]	= "mq",
	[KARRAY_QUEUE_BIO]	= "bio",
};

static char *karray_queue_mode = "mq";
module_param_named(queue_mode, karray_queue_mode, charp, 0444);
MODULE_PARM_DESC(queue_mode, "The disk takes requests (mq, the default) or bios (bio)");

module_param_named(nr_queues, karray_default_settings.nr_queues, uint, 0444);
MODULE_PARM_DESC(nr_queues, "Hardware queues of a disk (0: one for each CPU, the default)");

module_param_named(poll_queues, karray_default_settings.poll_queues, uint,
		   0444);
MODULE_PARM_DESC(poll_queues, "Hardware queues of a disk for polled I/O (default: 1)");

module_param_named(queue_depth, karray_default_settings.queue_depth, uint,
		   0444);
MODULE_PARM_DESC(queue_depth, "Requests that a hardware queue holds, up to 10240 (0: by the number of queues, the default)");

module_param_named(logical_block_size,
		   karray_default_settings.logical_block_size, uint, 0444);
MODULE_PARM_DESC(logical_block_size, "Bytes of a disk's logical block: 512 (the default), 1024, 2048 or 4096");

static bool karray_dax;
module_param_named(dax, karray_dax, bool, 0444);
MODULE_PARM_DESC(dax, "Memory gets struct pages, for DAX, at a cost of 1.6 % in System RAM (default: no)");

static bool karray_read_only;
module_param_named(read_only, karray_read_only, bool, 0444);
MODULE_PARM_DESC(read_only, "Devices can't be written (default: no)");

/* Return: 0, or -EINVAL with the reason in @why. */
static int karray_settings_check(const struct karray_settings *s,
				 char why[KARRAY_WHY_LEN])
{
	unsigned int cpus = num_possible_cpus();

	if (s->nr_queues > cpus)
		snprintf(why, KARRAY_WHY_LEN,
			 "nr_queues=%u is more than this machine's %u CPUs",
			 s->nr_queues, cpus);
	else if (s->poll_queues > cpus)
		snprintf(why, KARRAY_WHY_LEN,
			 "poll_queues=%u is more than this machine's %u CPUs",
			 s->poll_queues, cpus);
	else if (s->queue_depth > KARRAY_MAX_DEPTH)
		snprintf(why, KARRAY_WHY_LEN, "queue_depth=%u is more than %u",
			 s->queue_depth, KARRAY_MAX_DEPTH);
	else if (s->logical_block_size < 512 || s->logical_block_size > 4096 ||
		 !is_power_of_2(s->logical_block_size))
		snprintf(why, KARRAY_WHY_LEN,
			 "logical_block_size=%u is not 512, 1024, 2048 or 4096",
			 s->logical_block_size);
	else if (s->dax && !IS_ENABLED(CONFIG_FS_DAX))
		snprintf(why, KARRAY_WHY_LEN,
			 "dax=1 needs a kernel with CONFIG_FS_DAX");
	else
		return 0;
	return -EINVAL;
}

/**
 * karray_settings_init - bring the defaults in from the module's parameters
 *
 * Context: process context.
 * Return: 0, or -EINVAL for a parameter that makes no sense; the reason is in the
 * log.
 */
int karray_settings_init(void)
{
	struct karray_settings *s = &karray_default_settings;
	char why[KARRAY_WHY_LEN];
	int ret;

	ret = sysfs_match_string(karray_queue_modes, karray_queue_mode);
	if (ret < 0) {
		pr_err("queue_mode=%s is not mq or bio\n", karray_queue_mode);
		return -EINVAL;
	}
	s->queue_mode = ret;
	s->read_only = karray_read_only;
	s->dax = karray_dax;

	ret = karray_settings_check(s, why);
	if (ret)
		pr_err("%s\n", why);
	return ret;
}

struct karray_setting_attribute {
	struct device_attribute attr;
	size_t offset;			/* of the member of struct karray_settings */
	const char *const *words;	/* for values 0, 1, ..., or NULL for numbers */
	unsigned int nr_words;
	const char *takes;		/* what it takes, for people */
};

static const struct karray_setting_attribute *
to_setting(struct device_attribute *attr)
{
	return container_of(attr, struct karray_setting_attribute, attr);
}

static unsigned int *karray_setting(struct karray_settings *settings,
				    const struct karray_setting_attribute *sa)
{
	return (void *)settings + sa->offset;
}

static ssize_t karray_setting_show(struct device *dev,
				   struct device_attribute *attr, char *buf)
{
	const struct karray_setting_attribute *sa = to_setting(attr);
	struct karray_dev *kdev = to_karray_dev(dev);
	unsigned int value = READ_ONCE(*karray_setting(&kdev->settings, sa));

	if (sa->words)
		return sysfs_emit(buf, "%s\n", sa->words[value]);
	return sysfs_emit(buf, "%u\n", value);
}

static ssize_t karray_setting_store(struct device *dev,
				    struct device_attribute *attr,
				    const char *buf, size_t count)
{
	const struct karray_setting_attribute *sa = to_setting(attr);
	struct karray_dev *kdev = to_karray_dev(dev);
	struct karray_settings settings;
	char why[KARRAY_WHY_LEN];
	unsigned int value;
	int ret;

	if (sa->words) {
		ret = __sysfs_match_string(sa->words, sa->nr_words, buf);
		value = ret;
	} else {
		ret = kstrtouint(buf, 0, &value);
	}
	if (ret < 0) {
		dev_err(dev, "%s=%.*s is not %s\n", attr->attr.name,
			min_t(int, strcspn(buf, "\n"), KARRAY_WHY_LEN), buf,
			sa->takes);
		return ret;
	}

	ret = device_lock_interruptible(dev);
	if (ret)
		return ret;
	settings = kdev->settings;
	*karray_setting(&settings, sa) = value;
	ret = karray_settings_check(&settings, why);
	if (ret) {
		dev_err(dev, "%s\n", why);
	} else if (kdev->state == KARRAY_ONLINE || kdev->state == KARRAY_DEAD) {
		dev_err(dev, "%s can be changed only while the device is offline\n",
			attr->attr.name);
		ret = -EBUSY;
	} else {
		WRITE_ONCE(*karray_setting(&kdev->settings, sa), value);
	}
	device_unlock(dev);
	return ret ?: count;
}

static const char *const karray_no_yes[] = { "0", "1" };

#define KARRAY_SETTING(_name, _words, _nr, _takes)			\
	static struct karray_setting_attribute karray_setting_##_name = { \
		.attr = __ATTR(_name, 0644, karray_setting_show,	\
			       karray_setting_store),			\
		.offset = offsetof(struct karray_settings, _name),	\
		.words = _words,					\
		.nr_words = _nr,					\
		.takes = _takes,					\
	}

KARRAY_SETTING(queue_mode, karray_queue_modes, ARRAY_SIZE(karray_queue_modes),
	       "mq or bio");
KARRAY_SETTING(nr_queues, NULL, 0, "a number");
KARRAY_SETTING(poll_queues, NULL, 0, "a number");
KARRAY_SETTING(queue_depth, NULL, 0, "a number");
KARRAY_SETTING(logical_block_size, NULL, 0, "a number");
KARRAY_SETTING(read_only, karray_no_yes, ARRAY_SIZE(karray_no_yes), "0 or 1");
KARRAY_SETTING(dax, karray_no_yes, ARRAY_SIZE(karray_no_yes), "0 or 1");

static struct attribute *karray_settings_attrs[] = {
	&karray_setting_queue_mode.attr.attr,
	&karray_setting_nr_queues.attr.attr,
	&karray_setting_poll_queues.attr.attr,
	&karray_setting_queue_depth.attr.attr,
	&karray_setting_logical_block_size.attr.attr,
	&karray_setting_read_only.attr.attr,
	&karray_setting_dax.attr.attr,
	NULL
};

const struct attribute_group karray_settings_group = {
	.attrs = karray_settings_attrs,
};
