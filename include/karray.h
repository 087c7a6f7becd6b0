/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What karray's three layers know of each other:
 *
 *	providers	call karray_create(), and karray_destroy() or karray_remove()
 *	core		owns struct karray_dev, its state and its mapping
 *	personalities	show the mapping to user space, and count its users
 */
#ifndef _KARRAY_H
#define _KARRAY_H

#include <linux/badblocks.h>
#include <linux/device.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/types.h>
#include <linux/uaccess.h>

/* The most devices at a time; QEMU has 256 DIMM slots. */
#define KARRAY_MAX_DEVICES	256

struct dax_device;
struct karray_dev;

/**
 * struct karray_range - a contiguous piece of physical memory
 * @start: physical address of its first byte
 * @size: bytes
 */
struct karray_range {
	phys_addr_t start;
	u64 size;
};

/* The personalities, in the order in which a device gets them. */
enum karray_personality_id {
#ifdef CONFIG_FS_DAX
	KARRAY_DAX,		/* before the disk, so that no mount misses it */
#endif
	KARRAY_BLK,
	KARRAY_CHR,
	KARRAY_NR_PERSONALITIES
};

/*
 * Which of a sibling's copies are in the way: a reader minds those that are newer
 * than the memory, a writer minds all.
 */
enum karray_copies {
	KARRAY_CHANGED_COPIES,
	KARRAY_ALL_COPIES,
};

/**
 * struct karray_claim - a personality's exclusive right to write
 * @handles: of the others' claims
 */
struct karray_claim {
	void *handles[KARRAY_NR_PERSONALITIES];
};

/**
 * struct karray_personality - one way to see a device's memory
 * @name: what it is called in messages
 * @counts: has users of its own
 * @init: called once, when the module is loaded
 * @exit: undoes @init; no device has this personality any more
 * @attach: shows an online device's memory; called with the device's lock held
 * @revoke: the memory is about to go: takes it out of all mappings, and gives it out
 *	to no more. Called for all personalities before the first @detach; those in
 *	the read lock have seen that it isn't alive. Optional.
 * @detach: undoes @attach. When it returns, nothing of this personality reads or
 *	writes the memory, and new users are refused. Descriptors that are open
 *	may stay so, and answer with errors. Both are called with the device's lock
 *	held, or of one that is dead.
 * @claim: keeps others from exclusive use (mounts and the like) through this
 *	personality until @unclaim, or -EBUSY where there is such use. Optional,
 *	together with @unclaim. May sleep.
 * @unclaim: undoes @claim, of which it gets the handle; maybe after @detach
 * @cached: does this personality keep copies of these bytes (or changes to them, if
 *	only those are asked for) that the memory does not know of? Optional,
 *	together with @flush. Called between karray_read_lock() and _unlock(), of a
 *	device that is alive.
 * @failed: these bytes, whole pages, are bad from now on: tells who has them mapped.
 *	Only where the memory has struct pages. Called under karray_read_lock(), of
 *	a device that is alive; may sleep. Returns what a dev_pagemap's
 *	memory_failure does. Optional.
 * @flush: writes changes of these bytes back to the memory, and then forgets its
 *	copies, if told so. May sleep, and does I/O: not to be called with the read
 *	lock held.
 */
struct karray_personality {
	const char *name;
	bool counts;
	int (*init)(void);
	void (*exit)(void);
	int (*attach)(struct karray_dev *kdev);
	void (*revoke)(struct karray_dev *kdev);
	void (*detach)(struct karray_dev *kdev);
	int (*claim)(struct karray_dev *kdev, void **handle);
	void (*unclaim)(void *handle);
	bool (*cached)(struct karray_dev *kdev, u64 pos, u64 len,
		       enum karray_copies which);
	int (*flush)(struct karray_dev *kdev, u64 pos, u64 len,
		     enum karray_copies which);
	int (*failed)(struct karray_dev *kdev, u64 pos, u64 len, int mf_flags);
};

extern const struct karray_personality karray_dax_personality;
extern const struct karray_personality karray_blk_personality;
extern const struct karray_personality karray_chr_personality;

/* How the disk takes its I/O. */
enum karray_queue_mode {
	KARRAY_QUEUE_MQ,	/* requests, by blk-mq */
	KARRAY_QUEUE_BIO,	/* bios as they come */
};

/**
 * struct karray_settings - what can be chosen for each device while it is offline
 * @queue_mode: of the disk, an enum karray_queue_mode
 * @nr_queues: hardware queues of the disk, 0 for one a possible CPU; mq only
 * @poll_queues: more hardware queues, for polled I/O; mq only
 * @queue_depth: requests of a hardware queue, 0 for a number that suits; mq only
 * @logical_block_size: of the disk, bytes
 * @read_only: neither the disk nor the char device can be written
 * @dax: the memory has struct pages, and file systems can map it
 */
struct karray_settings {
	unsigned int queue_mode;
	unsigned int nr_queues;
	unsigned int poll_queues;
	unsigned int queue_depth;
	unsigned int logical_block_size;
	unsigned int read_only;
	unsigned int dax;
};

/*
 * SYSTEM_RAM <-> OFFLINE <-> ONLINE as often as one likes; DEAD is the end, when the
 * provider takes the memory away. Descriptors opened before keep a dead device's
 * struct alive, but not its memory.
 */
enum karray_state {
	KARRAY_OFFLINE,
	KARRAY_ONLINE,
	KARRAY_SYSTEM_RAM,
	KARRAY_DEAD,
};

/**
 * struct karray_ram_ops - how memory comes from System RAM, and goes back there
 * @groups: more attributes of such a device
 * @take: takes the hardware that the memory is on from System RAM, and calls
 *	karray_taken() for each device of it
 * @give_back: takes the device offline, undoes @take, and calls karray_given_back().
 *	-EBUSY where it is in use, or another device of the same hardware online.
 *
 * Both are called with device_hotplug_lock held, and say in the log why they fail. Then
 * all is as before.
 */
struct karray_ram_ops {
	const struct attribute_group **groups;
	int (*take)(struct karray_dev *kdev);
	int (*give_back)(struct karray_dev *kdev);
};

/**
 * struct karray_source - where a device's memory comes from
 * @range: the memory, its start and size multiples of PAGE_SIZE
 * @node: its NUMA node, or NUMA_NO_NODE
 * @parent: the hardware it is on, or NULL
 * @fwnode: the firmware's description of that hardware, or NULL. The device will
 *	be asked to go offline before this hardware is ejected.
 * @origin: provider and hardware, for people
 * @slot: what tells this hardware from others and stays the same after a reboot
 * @ram_ops: for memory that is System RAM until it is taken, or NULL
 */
struct karray_source {
	struct karray_range range;
	int node;
	struct device *parent;
	struct fwnode_handle *fwnode;
	const char *origin;
	const char *slot;
	const struct karray_ram_ops *ram_ops;
};

/**
 * struct karray_dev - a contiguous range of memory in use by karray
 * @dev: the device on bus "karray". Its lock, device_lock(), is held by whoever
 *	changes the state, from the decision to the last attach or detach; but for a
 *	dead device's, since nobody else brings that back.
 * @id: the N of karrayN, unique among the devices on the bus
 * @range: the memory
 * @origin: which provider it is from, and which piece of hardware it is
 * @serial: made of the address and the slot: the same after a reboot
 * @ram_ops: takes the memory from System RAM and gives it back; or NULL
 * @must_zero: it was System RAM, and hasn't been zeroed since
 * @settings: change only while not online, with the device's lock held
 * @bad: sectors (of 512 bytes) that can't be read until they are written
 * @res: the claim on @range in the resource tree, while online
 * @virt: where @range is mapped, write-back cached, while online
 * @pgmap: of the struct pages, while online with dax
 * @pages_failed: there was a bad page since then, see karray_pages_heal()
 * @dax_dev: the disk's DAX device, while online with dax
 * @dax_used: somebody has asked that for memory
 * @devt: number of the char node, while there is one
 * @disk_devt: number of the disk, while there is one
 * @lock: guards @state and @users
 * @state: see enum karray_state
 * @users: how many opens each personality has
 * @blk: the disk, while attached
 * @chr: the char device, while attached
 */
struct karray_dev {
	struct device dev;
	int id;
	struct karray_range range;
	const char *origin;
	const char *serial;
	const struct karray_ram_ops *ram_ops;
	bool must_zero;
	struct karray_settings settings;
	struct badblocks bad;

	struct resource *res;
	void *virt;
	struct dev_pagemap pgmap;
	bool pages_failed;
	struct dax_device *dax_dev;
	bool dax_used;
	dev_t devt;
	dev_t disk_devt;

	spinlock_t lock;	/* guards state and users */
	enum karray_state state;
	unsigned int users[KARRAY_NR_PERSONALITIES];

	struct karray_blk *blk;
	struct karray_chr *chr;
};

static inline struct karray_dev *to_karray_dev(struct device *dev)
{
	return container_of(dev, struct karray_dev, dev);
}

/* For providers */

struct karray_dev *karray_create(const struct karray_source *src);
int karray_bring_online(struct karray_dev *kdev);
int karray_bring_offline(struct karray_dev *kdev);
void karray_taken(struct karray_dev *kdev);
void karray_given_back(struct karray_dev *kdev);
int karray_remove(struct karray_dev *kdev);
void karray_kill(struct karray_dev *kdev);
void karray_destroy(struct karray_dev *kdev);

extern const struct attribute_group *karray_region_bus_groups[];

int karray_region_init(void);
void karray_region_start(void);
void karray_region_exit(void);

/* The kernel's memory hotplug, in a file of its own */

#ifdef CONFIG_MEMORY_HOTREMOVE
void karray_hotplug_init(void);
void karray_hotplug_exit(void);
int karray_hotplug_call(int (*fn)(void *data), void *data);
int karray_hotplug_call_wait(int (*fn)(void *data), void *data);
int karray_hotplug_watch(struct notifier_block *nb);
void karray_hotplug_unwatch(struct notifier_block *nb);
bool karray_is_memory_block(const struct device *dev);
#else
static inline void karray_hotplug_init(void)
{
}

static inline void karray_hotplug_exit(void)
{
}

static inline int karray_hotplug_call(int (*fn)(void *data), void *data)
{
	return -EOPNOTSUPP;
}
#endif

#ifdef CONFIG_ACPI
int karray_acpi_init(void);
void karray_acpi_exit(void);
#else
static inline int karray_acpi_init(void)
{
	return 0;
}

static inline void karray_acpi_exit(void)
{
}
#endif

/* Machine checks, in a file of its own */

void karray_memory_error(u64 start, u64 len);

#ifdef CONFIG_X86_MCE
void karray_mce_init(void);
void karray_mce_exit(void);
#else
static inline void karray_mce_init(void)
{
}

static inline void karray_mce_exit(void)
{
}
#endif

/* Memory with struct pages, in a file of its own */

/* What they take, in bytes of System RAM. */
static inline u64 karray_pages_cost(const struct karray_dev *kdev)
{
	return (kdev->range.size >> PAGE_SHIFT) * sizeof(struct page);
}

/* Is somebody else than ourselves holding it? */
static inline bool karray_page_pinned(struct page *page)
{
	return page_ref_count(page) > 1;
}

/*
 * Has a file got the page? Those that share one are counted in page->index (its other
 * name is page->share), and 6.1 leaves the mark for sharing there after the last.
 */
static inline bool karray_page_in_file(struct page *page)
{
	return READ_ONCE(page->mapping) &&
	       (!PageMappingFlags(page) || READ_ONCE(page->index));
}

#ifdef CONFIG_FS_DAX
int karray_pages_add(struct karray_dev *kdev);
void karray_pages_remove(struct karray_dev *kdev);
u64 karray_pages_heal(struct karray_dev *kdev, u64 pos, u64 len);
unsigned long karray_pages_pinned(struct karray_dev *kdev);
void karray_pages_wait(struct karray_dev *kdev);

static inline unsigned long karray_pages_next(unsigned long pfn)
{
	/* There may be many millions of them. */
	if (!(++pfn % SZ_16K))
		cond_resched();
	return pfn;
}

#define karray_for_each_page(kdev, page, pfn)				\
	for ((pfn) = PHYS_PFN((kdev)->range.start);			\
	     (pfn) < PHYS_PFN((kdev)->range.start + (kdev)->range.size) && \
	     ((page) = pfn_to_page(pfn), true);				\
	     (pfn) = karray_pages_next(pfn))
#else
static inline int karray_pages_add(struct karray_dev *kdev)
{
	return -EOPNOTSUPP;
}

static inline u64 karray_pages_heal(struct karray_dev *kdev, u64 pos, u64 len)
{
	return len;
}

static inline void karray_pages_remove(struct karray_dev *kdev)
{
}

static inline unsigned long karray_pages_pinned(struct karray_dev *kdev)
{
	return 0;
}
#endif

/* For personalities */

int karray_get_user(struct karray_dev *kdev, enum karray_personality_id who);
void karray_put_user(struct karray_dev *kdev, enum karray_personality_id who);

int karray_claim(struct karray_dev *kdev, enum karray_personality_id who,
		 struct karray_claim *claim);
void karray_unclaim(struct karray_claim *claim);
bool karray_cached(struct karray_dev *kdev, enum karray_personality_id who,
		   u64 pos, u64 len, enum karray_copies which);
int karray_flush(struct karray_dev *kdev, enum karray_personality_id who,
		 u64 pos, u64 len, enum karray_copies which);

int karray_failed(struct karray_dev *kdev, u64 pos, u64 len, int mf_flags);

extern struct srcu_struct karray_srcu;

/**
 * karray_read_lock - begin to use mappings
 *
 * Up to karray_read_unlock(), the mapping of a device that is karray_alive()
 * stays. Going offline and removal wait for the unlock, so nobody may wait for
 * user space in between.
 *
 * Context: process context; may nest.
 * Return: what karray_read_unlock() wants.
 */
static inline int karray_read_lock(void)
{
	return srcu_read_lock(&karray_srcu);
}

/**
 * karray_read_unlock - end what karray_read_lock() began
 * @cookie: what that returned
 *
 * Context: where karray_read_lock() was called.
 */
static inline void karray_read_unlock(int cookie)
{
	srcu_read_unlock(&karray_srcu, cookie);
}

/**
 * karray_alive - may the mapping be used?
 * @kdev: the device
 *
 * Context: any; the answer lasts as long as the read lock is held.
 * Return: whether @kdev is online, and so its mapping there until the unlock.
 */
static inline bool karray_alive(const struct karray_dev *kdev)
{
	/* Pairs with karray_set_state(): who sees ONLINE sees the mapping. */
	return smp_load_acquire(&kdev->state) == KARRAY_ONLINE;
}

/*
 * Access to the memory of a device that is kept online by the caller. What is bad
 * is known by sector, of 512 bytes as everywhere in the block layer.
 */

void karray_mem_poisoned(struct karray_dev *kdev, u64 pos);
int karray_mem_failed(struct karray_dev *kdev, u64 pos, u64 len);
size_t karray_mem_readable(struct karray_dev *kdev, u64 pos, size_t len);
size_t karray_mem_writable(struct karray_dev *kdev, u64 pos, size_t len);
void karray_mem_clear_bad(struct karray_dev *kdev, u64 pos, size_t len);
bool karray_mem_next_bad(struct karray_dev *kdev, u64 pos, u64 end, u64 *start,
			 u64 *len);

/* Without bad sectors, which is to say always, this is all that they cost. */
static inline bool karray_mem_has_bad(const struct karray_dev *kdev)
{
	return unlikely(READ_ONCE(kdev->bad.count));
}

/**
 * karray_mem_read - copy out of the memory
 * @kdev: the device
 * @dst: kernel memory
 * @pos: offset, bytes
 * @len: bytes
 *
 * Context: any.
 * Return: bytes copied: fewer than @len up to an uncorrectable error, which has
 * been noted then.
 */
static inline size_t karray_mem_read(struct karray_dev *kdev, void *dst,
				     u64 pos, size_t len)
{
	size_t left = copy_mc_to_kernel(dst, kdev->virt + pos, len);

	if (unlikely(left))
		karray_mem_poisoned(kdev, pos + len - left);
	return len - left;
}

/* Settings, in a file of their own */

extern const struct attribute_group karray_settings_group;
extern struct karray_settings karray_default_settings;

int karray_settings_init(void);

#endif /* _KARRAY_H */
