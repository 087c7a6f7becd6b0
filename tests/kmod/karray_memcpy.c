// SPDX-License-Identifier: GPL-2.0
/*
 * How fast can the memory of a DIMM be copied at best? Maps a physical range that
 * nobody has claimed as karray does, copies blocks between the mapping and buffers,
 * and says how long that took. No system call, no block layer, no driver: what a
 * disk made of the same memory can't beat.
 *
 * All is done while the module is loaded; its parameter "ns" is the answer:
 *
 *	insmod karray_memcpy.ko start=0x100000000 size=268435456 bs=4096
 *	cat /sys/module/karray_memcpy/parameters/ns
 *	rmmod karray_memcpy
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/gcd.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/slab.h>

static ullong start;
module_param(start, ullong, 0444);
MODULE_PARM_DESC(start, "Physical address of the range");

static ullong size;
module_param(size, ullong, 0444);
MODULE_PARM_DESC(size, "Its size, bytes");

static uint bs = 4096;
module_param(bs, uint, 0444);
MODULE_PARM_DESC(bs, "Bytes of a copy");

static bool write;
module_param(write, bool, 0444);
MODULE_PARM_DESC(write, "Copy to the range, not from it");

static bool random;
module_param(random, bool, 0444);
MODULE_PARM_DESC(random, "Jump to and fro in the range");

static uint depth = 1;
module_param(depth, uint, 0444);
MODULE_PARM_DESC(depth, "Buffers that take turns, as many as a job has I/Os at a time");

static uint jobs = 1;
module_param(jobs, uint, 0444);
MODULE_PARM_DESC(jobs, "Threads that copy, each on a CPU of its own, and each all of the range");

static ullong ns;
module_param(ns, ullong, 0444);
MODULE_PARM_DESC(ns, "The result: nanoseconds from the first copy to the last");

/**
 * struct memcpy_job - a thread that copies
 * @task: the thread
 * @mem: the mapping
 * @buffers: @depth of them, of @bs bytes
 * @begin: when it began, nanoseconds
 * @end: when it was done
 */
struct memcpy_job {
	struct task_struct *task;
	void *mem;
	void **buffers;
	u64 begin;
	u64 end;
};

/*
 * From one block to the next in @blocks so that each has its turn once: one, or a
 * number without a common divisor that is the golden section of the whole, for a
 * walk without a pattern that a processor would know.
 */
static u64 memcpy_stride(u64 blocks)
{
	u64 stride = random ? div_u64(blocks * 618, 1000) | 1 : 1;

	while (gcd(stride, blocks) != 1)
		stride += 2;
	return stride;
}

static int memcpy_run(void *data)
{
	struct memcpy_job *job = data;
	u64 blocks = div_u64(size, bs), stride = memcpy_stride(blocks);
	u64 block = 0, i;
	uint n = 0;

	job->begin = ktime_get_ns();
	for (i = 0; i < blocks; i++) {
		void *mem = job->mem + block * bs;

		if (write)
			memcpy(mem, job->buffers[n], bs);
		else
			memcpy(job->buffers[n], mem, bs);
		block += stride;
		if (block >= blocks)
			block -= blocks;
		if (++n == depth) {
			n = 0;
			cond_resched();
		}
	}
	job->end = ktime_get_ns();

	/* Whoever started this waits for it, and only then frees its data. */
	while (!kthread_should_stop()) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (!kthread_should_stop())
			schedule();
		__set_current_state(TASK_RUNNING);
	}
	return 0;
}
