// SPDX-License-Identifier: GPL-2.0
/*
 * Who keeps a device from going: processes that have its nodes open or mapped, mounts, also
 * in other mount namespaces, and swap on its disk and on what is built of it (RAID, LVM, loop
 * devices), and exports by the kernel's NVMe target.
 */

#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <libmount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "karrayctl.h"

#define NVMET	"/sys/kernel/config/nvmet/subsystems"

/* A block device that is the disk, a part of it, or made of it. */
struct block {
	char name[64];
	dev_t number;
	struct block *below;		/* of which it is made, NULL for disk and partitions */
};

struct blocks {
	struct block *block[64];
	size_t count;
};

void strings_add(char ***strings, char *string)
{
	size_t n = 0;

	while (*strings && (*strings)[n])
		n++;
	*strings = must(reallocarray(*strings, n + 2, sizeof(**strings)));
	(*strings)[n] = string;
	(*strings)[n + 1] = NULL;
}

void strings_free(char **strings)
{
	size_t n;

	for (n = 0; strings && strings[n]; n++)
		free(strings[n]);
	free(strings);
}

static char *read_line(const char *path)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;

	if (!file)
		return NULL;
	if (getline(&line, &size, file) < 0) {
		free(line);
		line = NULL;
	} else {
		line[strcspn(line, "\n")] = '\0';
	}
	fclose(file);
	return line;
}

/* Calls @fn for each entry of a directory, which need not be there. */
static void walk_dir(const char *path, void (*fn)(const char *path, const char *name, void *arg),
		     void *arg)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			fn(path, entry->d_name, arg);
	if (dir)
		closedir(dir);
}

/* What is built of the disk ---------------------------------------------------- */

static const struct block *find_block(const struct blocks *blocks, dev_t number)
{
	size_t i;

	for (i = 0; i < blocks->count; i++)
		if (blocks->block[i]->number == number)
			return blocks->block[i];
	return NULL;
}

static void add_block(struct blocks *blocks, const char *name, struct block *below)
{
	char *path = text("/sys/class/block/%s/dev", name), *line = read_line(path);
	unsigned int major, minor;
	struct block *block;

	if (line && strlen(name) < sizeof(block->name) && blocks->count < ARRAY_SIZE(blocks->block) &&
	    sscanf(line, "%u:%u", &major, &minor) == 2 &&
	    !find_block(blocks, makedev(major, minor))) {
		block = must(calloc(1, sizeof(*block)));
		strcpy(block->name, name);
		block->number = makedev(major, minor);
		block->below = below;
		blocks->block[blocks->count++] = block;
	}
	free(line);
	free(path);
}

static void add_partition(const char *path, const char *name, void *blocks)
{
	char *partition = text("%s/%s/partition", path, name);

	if (!access(partition, F_OK))
		add_block(blocks, name, NULL);
	free(partition);
}

/* For what is made of one of them. */
struct above {
	struct blocks *blocks;
	struct block *below;
};

static void add_holder(const char *path, const char *name, void *arg)
{
	struct above *above = arg;

	(void)path;
	add_block(above->blocks, name, above->below);
}

static void add_loop(const char *path, const char *name, void *arg)
{
	struct above *above = arg;
	char *file = text("%s/%s/loop/backing_file", path, name), *backing = NULL;
	struct stat st;

	if (!fnmatch("loop*", name, 0))
		backing = read_line(file);
	if (backing && !stat(backing, &st) && S_ISBLK(st.st_mode) &&
	    st.st_rdev == above->below->number)
		add_block(above->blocks, name, above->below);
	free(backing);
	free(file);
}

static void find_blocks(const struct device *dev, struct blocks *blocks)
{
	char *path;
	size_t i;

	blocks->count = 0;
	if (!dev->disk[0])
		return;
	add_block(blocks, dev->disk, NULL);
	path = text("/sys/class/block/%s", dev->disk);
	walk_dir(path, add_partition, blocks);
	free(path);
	for (i = 0; i < blocks->count; i++) {
		struct above above = { blocks, blocks->block[i] };

		path = text("/sys/class/block/%s/holders", blocks->block[i]->name);
		walk_dir(path, add_holder, &above);
		free(path);
		walk_dir("/sys/block", add_loop, &above);
	}
}

static void free_blocks(struct blocks *blocks)
{
	while (blocks->count)
		free(blocks->block[--blocks->count]);
}

/* "/dev/dm-0 on /dev/karrayb0p1" */
static char *block_name(const struct block *block)
{
	char *below, *name;

	if (!block->below)
		return text("/dev/%s", block->name);
	below = block_name(block->below);
	name = text("/dev/%s on %s", block->name, below);
	free(below);
	return name;
}

/* Mounts and swap ------------------------------------------------------------- */

/* The one that is mounted there, or NULL. */
static const struct block *find_mounted(const struct blocks *blocks, struct libmnt_fs *fs)
{
	const struct block *block = find_block(blocks, mnt_fs_get_devno(fs));
	struct stat st;

	/* Some have a number of their own: btrfs. */
	if (!block && mnt_fs_get_srcpath(fs) && !stat(mnt_fs_get_srcpath(fs), &st) &&
	    S_ISBLK(st.st_mode))
		block = find_block(blocks, st.st_rdev);
	return block;
}

/* Calls @fn with each block device that is mounted and where, NULL if it's swap. */
static void walk_mounts(const struct blocks *blocks,
			void (*fn)(const struct block *block, const char *where, void *arg), void *arg)
{
	struct libmnt_table *mounts = mnt_new_table_from_file("/proc/self/mountinfo");
	struct libmnt_table *swaps = must(mnt_new_table());
	struct libmnt_iter *iter = must(mnt_new_iter(MNT_ITER_FORWARD));
	const struct block *block;
	struct libmnt_fs *fs;
	struct stat st;

	while (mounts && !mnt_table_next_fs(mounts, iter, &fs)) {
		block = find_mounted(blocks, fs);
		if (block)
			fn(block, mnt_fs_get_target(fs), arg);
	}
	mnt_reset_iter(iter, MNT_ITER_FORWARD);
	if (!mnt_table_parse_swaps(swaps, NULL))
		while (!mnt_table_next_fs(swaps, iter, &fs))
			if (!stat(mnt_fs_get_source(fs), &st) && S_ISBLK(st.st_mode)) {
				block = find_block(blocks, st.st_rdev);
				if (block)
					fn(block, NULL, arg);
			}
	mnt_free_iter(iter);
	mnt_unref_table(swaps);
	mnt_unref_table(mounts);
}

static void add_mount(const struct block *block, const char *where, void *arg)
{
	(void)block;
	strings_add(arg, text("%s", where ?: "[SWAP]"));
}

char **device_mounts(const struct device *dev)
{
	char **mounts = NULL;
	struct blocks blocks;

	find_blocks(dev, &blocks);
	walk_mounts(&blocks, add_mount, &mounts);
	free_blocks(&blocks);
	return mounts;
}

static void tell_mount(const struct block *block, const char *where, void *arg)
{
	char *name = block_name(block);

	strings_add(arg, where ? text("%s is mounted on %s", name, where) :
				 text("%s is used for swap", name));
	free(name);
}

/* Other mount namespaces --------------------------------------------------------- */

struct namespace {
	ino_t number;
	struct libmnt_table *mounts;
};

/* Those that have been looked at, ours first. */
struct namespaces {
	struct namespace *namespace;
	size_t count;
};

static bool is_known(const struct namespaces *known, ino_t number)
{
	size_t i;

	for (i = 0; i < known->count; i++)
		if (known->namespace[i].number == number)
			return true;
	return false;
}

/* The mounts that the process sees; NULL if its namespace is known, or it has gone. */
static struct libmnt_table *add_namespace(struct namespaces *known, const char *pid)
{
	char *ns = text("/proc/%s/ns/mnt", pid), *mountinfo = text("/proc/%s/mountinfo", pid);
	struct libmnt_table *mounts = NULL;
	struct stat st;

	if (!stat(ns, &st) && !is_known(known, st.st_ino))
		mounts = mnt_new_table_from_file(mountinfo);
	if (mounts) {
		known->namespace = must(reallocarray(known->namespace, known->count + 1,
						     sizeof(*known->namespace)));
		known->namespace[known->count++] = (struct namespace){ st.st_ino, mounts };
	}
	free(mountinfo);
	free(ns);
	return mounts;
}

static void free_namespaces(struct namespaces *known)
{
	while (known->count)
		mnt_unref_table(known->namespace[--known->count].mounts);
	free(known->namespace);
}

/* The number of a mount's peer group, or of that which it follows; 0: it has none. */
static unsigned long group_of(struct libmnt_fs *fs, const char *kind)
{
	const char *fields = mnt_fs_get_optional_fields(fs), *at = fields ? strstr(fields, kind) : NULL;

	return at ? strtoul(at + strlen(kind), NULL, 10) : 0;
}

/*
 * Does it go along when one is unmounted that has been told of? Many services have a
 * namespace of their own, where all is mounted as it is outside.
 */
static bool goes_along(const struct namespaces *known, struct libmnt_fs *fs)
{
	struct libmnt_fs *other;
	unsigned long group;
	size_t i;

	for (i = 0; i + 1 < known->count; i++) {
		other = mnt_table_find_target(known->namespace[i].mounts, mnt_fs_get_target(fs),
					      MNT_ITER_BACKWARD);
		group = other ? group_of(other, "shared:") : 0;
		if (group && (group == group_of(fs, "shared:") || group == group_of(fs, "master:")))
			return true;
	}
	return false;
}

/* Processes --------------------------------------------------------------------- */

struct search {
	const struct device *dev;
	const struct blocks *blocks;
	struct namespaces namespaces;
	const char *verb;		/* how the sentence goes on */
	const char *pid;
	char *comm;
	char ***sentences;
};

/* What is mounted where only the process, and others that come after it, see it. */
static void look_at_mounts(struct search *search)
{
	struct libmnt_table *mounts = add_namespace(&search->namespaces, search->pid);
	struct libmnt_iter *iter;
	const struct block *block;
	struct libmnt_fs *fs;
	char *name;

	if (!mounts)
		return;
	iter = must(mnt_new_iter(MNT_ITER_FORWARD));
	while (!mnt_table_next_fs(mounts, iter, &fs)) {
		block = find_mounted(search->blocks, fs);
		if (!block || goes_along(&search->namespaces, fs))
			continue;
		name = block_name(block);
		strings_add(search->sentences,
			    text("%s is mounted on %s in the mount namespace of process %s (%s)", name,
				 mnt_fs_get_target(fs), search->pid, search->comm ?: "?"));
		free(name);
	}
	mnt_free_iter(iter);
}

/* One of a process's files. */
static void look_at_file(const char *path, const char *name, void *arg)
{
	struct search *search = arg;
	char *file = text("%s/%s", path, name), *sentence, **known;
	const struct block *block;
	const char *node = NULL;
	struct statx st;
	/* A file on a server that is away must not keep us. */
	bool failed = statx(AT_FDCWD, file, AT_STATX_DONT_SYNC, STATX_TYPE, &st);
	dev_t number = failed ? 0 : makedev(st.stx_rdev_major, st.stx_rdev_minor);

	free(file);
	if (failed)
		return;
	if (S_ISCHR(st.stx_mode) && search->dev->chr[0] && number == search->dev->chr_dev) {
		node = search->dev->chr;
	} else if (S_ISBLK(st.stx_mode)) {
		block = find_block(search->blocks, number);
		/* Who uses what is built of the disk is no user of the disk. */
		node = block && !block->below ? block->name : NULL;
	}
	if (!node)
		return;
	sentence = text("process %s (%s) has %s /dev/%s", search->pid, search->comm ?: "?",
			search->verb, node);
	for (known = *search->sentences; known && *known; known++)
		if (!strcmp(*known, sentence)) {
			free(sentence);
			return;
		}
	strings_add(search->sentences, sentence);
}

static void look_at_process(const char *path, const char *name, void *arg)
{
	static const struct {
		const char *dir, *verb;
	} files[] = {
		{ "fd",		"opened" },
		{ "map_files",	"mapped" },
	};
	struct search *search = arg;
	char *file;
	size_t i;

	/* We may have the disk open ourselves, to lock it. */
	if (!isdigit((unsigned char)name[0]) || atoi(name) == getpid())
		return;
	file = text("%s/%s/comm", path, name);
	search->pid = name;
	search->comm = read_line(file);
	free(file);
	look_at_mounts(search);
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		search->verb = files[i].verb;
		file = text("%s/%s/%s", path, name, files[i].dir);
		walk_dir(file, look_at_file, search);
		free(file);
	}
	free(search->comm);
}

/* The NVMe target --------------------------------------------------------------- */

struct export {
	const struct blocks *blocks;
	const char *subsystem;
	char ***sentences;
};

static void look_at_namespace(const char *path, const char *name, void *arg)
{
	struct export *export = arg;
	char *file = text("%s/%s/device_path", path, name), *device = read_line(file);
	const struct block *block;
	char *enabled;
	struct stat st;

	free(file);
	file = text("%s/%s/enable", path, name);
	enabled = read_line(file);
	free(file);
	if (device && enabled && !strcmp(enabled, "1") && !stat(device, &st) && S_ISBLK(st.st_mode)) {
		block = find_block(export->blocks, st.st_rdev);
		if (block) {
			file = block_name(block);
			strings_add(export->sentences,
				    text("%s is exported by the NVMe target, as namespace %s of %s",
					 file, name, export->subsystem));
			free(file);
		}
	}
	free(enabled);
	free(device);
}

static void look_at_subsystem(const char *path, const char *name, void *arg)
{
	struct export *export = arg;
	char *dir = text("%s/%s/namespaces", path, name);

	export->subsystem = name;
	walk_dir(dir, look_at_namespace, export);
	free(dir);
}

char **device_holders(const struct device *dev)
{
	char **sentences = NULL;
	struct blocks blocks;
	struct search search = { .dev = dev, .blocks = &blocks, .sentences = &sentences };
	struct export export = { .blocks = &blocks, .sentences = &sentences };
	char *upper, *lower;
	size_t i;

	find_blocks(dev, &blocks);
	walk_mounts(&blocks, tell_mount, &sentences);
	for (i = 0; i < blocks.count; i++)
		if (blocks.block[i]->below) {
			lower = block_name(blocks.block[i]->below);
			upper = text("%s is a part of /dev/%s", lower, blocks.block[i]->name);
			strings_add(&sentences, upper);
			free(lower);
		}
	walk_dir(NVMET, look_at_subsystem, &export);
	/* Ours has been told of. */
	add_namespace(&search.namespaces, "self");
	walk_dir("/proc", look_at_process, &search);
	free_namespaces(&search.namespaces);
	free_blocks(&blocks);
	return sentences;
}

void say_holders(const struct device *dev)
{
	char **holders = device_holders(dev);
	size_t i;

	for (i = 0; holders && holders[i]; i++)
		say("%s: %s", dev->name, holders[i]);
	strings_free(holders);
}
