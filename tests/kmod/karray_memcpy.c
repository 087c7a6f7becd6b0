// SPDX-License-Identifier: GPL-2.0
/*
 * How fast can the memory of a DIMM be copied at best? Maps a physical range that
 * nobody has claimed, as karray does, copies blocks between the mapping and buffers,
 * and tells how long that took. No system call, no block layer, no driver: what a
 * disk made of this memory can't beat.
 *
 * All is done while the module is loaded. The parameter ns is the answer:
 *
 *	insmod karray_memcpy.ko start=0x100000000 size=268435456 bs=4096
 *	cat /sys/module/karray_memcpy/parameters/ns
 *	rmmod karray_memcpy
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/gcd.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

static unsigned long long start;
module_param(start, ullong, 0444);
MODULE_PARM_DESC(start, "Physical address of the range");

static ulong size;
module_param(size, ulong, 0444);
MODULE_PARM_DESC(size, "Its size, bytes");

static uint bs = 4096;
module_param(bs, uint, 0444);
MODULE_PARM_DESC(bs, "Bytes to copy at a time (default: 4096)");

static bool write;
module_param(write, bool, 0444);
MODULE_PARM_DESC(write, "Copy to the range, not from it");

static bool random;
module_param(random, bool, 0444);
MODULE_PARM_DESC(random, "Jump about in the range");

static uint depth = 1;
module_param(depth, uint, 0444);
MODULE_PARM_DESC(depth, "Buffers that take turns, like a job's I/Os (default: 1)");

static uint jobs = 1;
module_param(jobs, uint, 0444);
MODULE_PARM_DESC(jobs, "CPUs that copy side by side, each all of the range (default: 1)");

static unsigned long long ns;
module_param(ns, ullong, 0444);
MODULE_PARM_DESC(ns, "The result: nanoseconds from the first copy to the last");

/**
 * struct memcpy_job - a CPU that copies
 * @work: runs memcpy_run() there
 * @mem: the mapping
 * @buffers: @depth of them, of @bs bytes each
 * @begin: when it began, nanoseconds
 * @end: when it was done
 */
struct memcpy_job {
	struct work_struct work;
	void *mem;
	void **buffers;
	u64 begin;
	u64 end;
};

/*
 * How far it is from a block to the next, so that each of @blocks has its turn: one,
 * or about the golden section of the whole, for jumps that look random.
 */
static ulong memcpy_stride(ulong blocks)
{
	ulong stride = random ? mult_frac(blocks, 618, 1000) : 1;

	while (gcd(stride, blocks) != 1)
		stride++;
	return stride;
}

static void memcpy_run(struct work_struct *work)
{
	struct memcpy_job *job = container_of(work, struct memcpy_job, work);
	ulong blocks = size / bs, stride = memcpy_stride(blocks);
	ulong block = 0, i;
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
		if (++n == depth)
			n = 0;
		if (i % 1024 == 0)
			cond_resched();
	}
	job->end = ktime_get_ns();
}

static void memcpy_free_buffers(struct memcpy_job *job)
{
	uint n;

	if (!job->buffers)
		return;
	for (n = 0; n < depth; n++)
		kfree(job->buffers[n]);
	kfree(job->buffers);
}

static int memcpy_alloc_buffers(struct memcpy_job *job)
{
	uint n;

	job->buffers = kcalloc(depth, sizeof(*job->buffers), GFP_KERNEL);
	if (!job->buffers)
		return -ENOMEM;
	for (n = 0; n < depth; n++) {
		job->buffers[n] = kmalloc(bs, GFP_KERNEL);
		if (!job->buffers[n])
			return -ENOMEM;
		memset(job->buffers[n], n, bs);
	}
	return 0;
}

/* Let all jobs run at the same time, and see how long that takes. */
static int memcpy_measure(void *mem)
{
	struct workqueue_struct *wq;
	struct memcpy_job *job;
	u64 begin = U64_MAX, end = 0;
	int ret = -ENOMEM;
	uint i;

	wq = alloc_workqueue(KBUILD_MODNAME, WQ_CPU_INTENSIVE, 0);
	if (!wq)
		return -ENOMEM;
	job = kcalloc(jobs, sizeof(*job), GFP_KERNEL);
	if (!job)
		goto out_destroy_workqueue;
	for (i = 0; i < jobs; i++) {
		ret = memcpy_alloc_buffers(&job[i]);
		if (ret)
			goto out_free_buffers;
	}

	for (i = 0; i < jobs; i++) {
		job[i].mem = mem;
		INIT_WORK(&job[i].work, memcpy_run);
		queue_work_on(i, wq, &job[i].work);
	}
	flush_workqueue(wq);
	for (i = 0; i < jobs; i++) {
		begin = min(begin, job[i].begin);
		end = max(end, job[i].end);
	}
	ns = end - begin;

out_free_buffers:
	for (i = 0; i < jobs; i++)
		memcpy_free_buffers(&job[i]);
	kfree(job);
out_destroy_workqueue:
	destroy_workqueue(wq);
	return ret;
}

static int __init memcpy_init(void)
{
	void *mem;
	int ret;

	if (!size || !depth || !bs || bs > size || !jobs ||
	    jobs > num_online_cpus()) {
		pr_err("start, size, bs, depth or jobs is not right\n");
		return -EINVAL;
	}
	if (!request_mem_region(start, size, KBUILD_MODNAME)) {
		pr_err("the range is in use\n");
		return -EBUSY;
	}
	ret = -ENOMEM;
	mem = memremap(start, size, MEMREMAP_WB);
	if (mem) {
		ret = memcpy_measure(mem);
		memunmap(mem);
	}
	release_mem_region(start, size);
	return ret;
}

static void __exit memcpy_exit(void)
{
}

module_init(memcpy_init);
module_exit(memcpy_exit);

MODULE_AUTHOR("The karray developers");
MODULE_DESCRIPTION("How fast memory can be copied");
MODULE_LICENSE("GPL");
