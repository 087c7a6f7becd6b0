// SPDX-License-Identifier: GPL-2.0
/*
 * Machine checks: memory that the machine itself finds to be bad, as by a scrubber, before
 * anybody has read it. Memory without struct pages is none of the kernel's business, so
 * that nobody else would keep readers from it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/align.h>
#include <linux/bits.h>
#include <linux/cache.h>
#include <linux/cpufeature.h>
#include <linux/minmax.h>
#include <linux/notifier.h>
#include <linux/processor.h>

#include <asm/mce.h>

#include "karray.h"

/* How much is bad: as much as the machine says, a cache line where it doesn't. */
static u64 karray_mce_len(const struct mce *mce)
{
	if (!(mce->status & MCI_STATUS_MISCV))
		return L1_CACHE_BYTES;
	return min_t(u64, 1ULL << MCI_MISC_ADDR_LSB(mce->misc), PAGE_SIZE);
}

static int karray_mce_decode(struct notifier_block *nb, unsigned long action,
			     void *data)
{
	struct mce *mce = data;
	u64 addr, len;

	if (!mce_is_memory_error(mce) || mce_is_correctable(mce) ||
	    !mce_usable_address(mce))
		return NOTIFY_DONE;
	/* Of AMD's memory controllers it's not the system's address, which 6.1 doesn't know. */
	if (boot_cpu_has(X86_FEATURE_SMCA) &&
	    !(mce->status & MCI_STATUS_POISON))
		return NOTIFY_DONE;
	/* The bits above may tell of a key to encrypted memory. */
	addr = mce->addr & GENMASK_ULL(boot_cpu_data.x86_phys_bits - 1, 0);
	len = karray_mce_len(mce);
	karray_memory_error(ALIGN_DOWN(addr, len), len);
	return NOTIFY_DONE;
}

static struct notifier_block karray_mce_block = {
	.notifier_call	= karray_mce_decode,
	.priority	= MCE_PRIO_EDAC,
};

/**
 * karray_mce_init - begin to listen
 *
 * Context: process context, may sleep.
 */
void karray_mce_init(void)
{
	mce_register_decode_chain(&karray_mce_block);
}

/**
 * karray_mce_exit - undo karray_mce_init()
 *
 * Context: process context, may sleep.
 */
void karray_mce_exit(void)
{
	mce_unregister_decode_chain(&karray_mce_block);
}
