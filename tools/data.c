// SPDX-License-Identifier: GPL-2.0
/* karrayctl's verbs for what a device holds: zero, checksum, badblocks. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <linux/karray.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "karrayctl.h"

/* How much is done between two looks at the progress, bytes. */
#define PIECE		((uint64_t)64 << 20)

/* How many sectors go on the disk's list of bad ones at once: older kernels lose more. */
#define BAD_SECTORS	512
#define SECTOR		512

/* What a verb does to each device. */
struct work {
	const char *done;		/* NULL: what was read is told by a table */
	int mode;			/* of open() */
	bool (*wanted)(const struct device *dev, const struct options *options);	/* NULL: always */
	int (*work)(const struct device *dev, int fd, uint64_t start, uint64_t end, void *arg);
	void *arg;
};

/* Of what errno says. */
static int complain(const struct device *dev, const char *what)
{
	int error = errno;

	say("%s: %s: %s", dev->name, what, meaning(error));
	if (error == EBUSY)
		say_holders(dev);
	return -1;
}

/*
 * Keeps udev, and whoever else heeds it, from looking at the disk; -1 is no harm. When it's
 * closed udev looks, for it could have been written.
 */
static int lock_disk(const struct device *dev)
{
	char *path = text("/dev/%s", dev->disk);
	int fd = open(path, O_RDWR | O_CLOEXEC);

	free(path);
	if (fd >= 0)
		flock(fd, LOCK_EX);
	return fd;
}

static int work_on(const struct work *work, const struct device *dev, const struct options *options)
{
	uint64_t size = device_size(dev), end;
	int fd, lock = -1, ret = -1;
	struct stat st;
	char *path;

	if (!dev->chr[0]) {
		say("%s: has no nodes: it is not online", dev->name);
		return -1;
	}
	end = options->length > UINT64_MAX - options->offset ? UINT64_MAX : options->offset + options->length;
	if (options->length == UINT64_MAX)
		end = size;
	if (options->offset > size || end > size) {
		say("%s: the range ends past the end, which is at %" PRIu64, dev->name, size);
		return -1;
	}
	if (work->wanted && !work->wanted(dev, options))
		return -1;
	if (work->mode == O_RDWR && dev->disk[0])
		lock = lock_disk(dev);
	path = text("/dev/%s", dev->chr);
	fd = open(path, work->mode | O_CLOEXEC);
	/* It may have gone while we asked, and its name be another one's. */
	if (fd < 0)
		complain(dev, path);
	else if (fstat(fd, &st) || !S_ISCHR(st.st_mode) || st.st_rdev != dev->chr_dev ||
		 !device_is_there(dev))
		say("%s: has gone", dev->name);
	else
		ret = work->work(dev, fd, options->offset, end, work->arg);
	if (fd >= 0)
		close(fd);
	if (lock >= 0)
		close(lock);
	free(path);
	return ret;
}

/* Work, and what was said of it. */
struct order {
	const struct work *work;
	const struct options *options;
};

static int work_on_one(struct device *dev, void *arg)
{
	const struct order *order = arg;

	return work_on(order->work, dev, order->options) ? -1 : 0;
}

static int work_on_each(const struct work *work, const struct options *options, char **args)
{
	struct order order = { work, options };
	unsigned int n, failed;
	int status = devices_each(args, work_on_one, &order, &n, &failed);

	if (status)
		return status;
	if (work->mode == O_RDWR)
		wait_for_udev();
	if (work->done)
		return count_message(work->done, n, failed);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void end_progress(const char *what)
{
	int error = errno;

	progress(what, 1, 1);
	errno = error;
}

/* zero ------------------------------------------------------------------------- */

static int zero_range(const struct device *dev, int fd, uint64_t start, uint64_t end, void *arg)
{
	struct karray_fill fill = { .offset = start };
	char *what = text("%s: zeroing", dev->name);
	int ret = 0;

	(void)arg;
	for (; fill.offset < end && !ret; fill.offset += fill.length) {
		fill.length = end - fill.offset < PIECE ? end - fill.offset : PIECE;
		progress(what, fill.offset - start, end - start);
		ret = ioctl(fd, KARRAY_IOC_FILL, &fill);
	}
	end_progress(what);
	if (ret)
		complain(dev, "cannot zero it");
	free(what);
	return ret;
}

static bool may_zero(const struct device *dev, const struct options *options)
{
	uint64_t size = device_size(dev);
	char *type = disk_content(dev, "TYPE") ?: disk_content(dev, "PTTYPE"), *bytes;
	bool yes;

	bytes = human_size(options->length == UINT64_MAX ? size - options->offset : options->length);
	yes = confirmed(options, "%s: zero %s of it?%s%s%s", dev->name, bytes,
			type ? " Its disk has " : "", type ?: "", type ? "." : "");
	free(bytes);
	free(type);
	return yes;
}

int verb_zero(const struct options *options, char **args)
{
	static const struct work work = {
		.done = "zeroed", .mode = O_RDWR, .wanted = may_zero, .work = zero_range,
	};

	return work_on_each(&work, options, args);
}

/* Tables of numbers --------------------------------------------------------------- */

static void set_cell(struct libscols_line *line, size_t n, char *value)
{
	if (scols_line_refer_data(line, n, value))
		must(NULL);
}

static struct libscols_table *new_table(const struct options *options, const char *last)
{
	struct libscols_table *table = table_new(options);

	must(scols_table_new_column(table, "NAME", 0, 0));
	scols_column_set_json_type(must(scols_table_new_column(table, "OFFSET", 0, SCOLS_FL_RIGHT)),
				   SCOLS_JSON_NUMBER);
	scols_column_set_json_type(must(scols_table_new_column(table, "LENGTH", 0, SCOLS_FL_RIGHT)),
				   SCOLS_JSON_NUMBER);
	if (last)
		must(scols_table_new_column(table, last, 0, 0));
	return table;
}

static struct libscols_line *add_range(struct libscols_table *table, const struct device *dev,
				       uint64_t offset, uint64_t length)
{
	struct libscols_line *line = must(scols_table_new_line(table, NULL));

	set_cell(line, 0, text("%s", dev->name));
	set_cell(line, 1, text("%" PRIu64, offset));
	set_cell(line, 2, text("%" PRIu64, length));
	return line;
}

/* checksum -------------------------------------------------------------------------- */

static int checksum_range(const struct device *dev, int fd, uint64_t start, uint64_t end, void *arg)
{
	struct karray_checksum sum = { .offset = start, .type = KARRAY_CHECKSUM_CRC32C };
	char *what = text("%s: reading", dev->name);
	int ret = 0;

	for (; sum.offset < end && !ret; sum.offset += sum.length) {
		sum.length = end - sum.offset < PIECE ? end - sum.offset : PIECE;
		progress(what, sum.offset - start, end - start);
		ret = ioctl(fd, KARRAY_IOC_CHECKSUM, &sum);
	}
	end_progress(what);
	free(what);
	if (ret)
		return complain(dev, "cannot read all of it");
	set_cell(add_range(arg, dev, start, end - start), 3, text("%08x", sum.sum));
	return 0;
}

int verb_checksum(const struct options *options, char **args)
{
	struct libscols_table *table = new_table(options, "CRC32C");
	struct work work = {
		.mode = O_RDONLY, .work = checksum_range, .arg = table,
	};
	int status = work_on_each(&work, options, args);

	if (status == EXIT_USAGE) {
		scols_unref_table(table);
		return status;
	}
	return table_print(table) ?: status;
}

/* badblocks ------------------------------------------------------------------------- */

/* Calls @fn for each bad range. */
static int walk_bad(const struct device *dev, int fd, uint64_t start, uint64_t end,
		    int (*fn)(const struct device *dev, int fd, uint64_t start, uint64_t end, void *arg),
		    void *arg)
{
	struct karray_bad_range range;
	struct karray_bad bad = { .ranges = (uintptr_t)&range };
	int ret;

	for (; start < end; start = range.offset + range.length) {
		bad.offset = start;
		bad.length = end - start;
		bad.count = 1;
		if (ioctl(fd, KARRAY_IOC_BAD, &bad))
			return complain(dev, "cannot list what is bad");
		if (!bad.count)
			break;
		ret = fn(dev, fd, range.offset, range.offset + range.length, arg);
		if (ret)
			return ret;
	}
	return 0;
}

static int list_bad(const struct device *dev, int fd, uint64_t start, uint64_t end, void *arg)
{
	(void)fd;
	add_range(arg, dev, start, end - start);
	return 0;
}

static int list_all_bad(const struct device *dev, int fd, uint64_t start, uint64_t end, void *table)
{
	return walk_bad(dev, fd, start, end, list_bad, table);
}

/* Zeroing them is what makes them good. */
static int clear_bad(const struct device *dev, int fd, uint64_t start, uint64_t end, void *arg)
{
	(void)arg;
	return walk_bad(dev, fd, start, end, zero_range, NULL);
}

static bool may_clear(const struct device *dev, const struct options *options)
{
	return confirmed(options, "%s: zero what is bad, so that it can be read again?", dev->name);
}

static bool may_add(const struct device *dev, const struct options *options)
{
	return confirmed(options, "%s: mark %s as bad? It can't be read until it's written.", dev->name,
			 options->add);
}

static int add_bad(const struct device *dev, int fd, uint64_t start, uint64_t end, void *arg)
{
	char *attr = text("block/%s/badblocks", dev->disk), *line;
	uint64_t count;
	int error = 0;

	(void)fd;
	(void)arg;
	for (; start < end && !error; start += count * SECTOR) {
		count = (end - start) / SECTOR;
		if (count > BAD_SECTORS)
			count = BAD_SECTORS;
		line = text("%" PRIu64 " %" PRIu64, start / SECTOR, count);
		error = device_put(dev, attr, line);
		free(line);
	}
	free(attr);
	if (!error)
		return 0;
	errno = error;
	return complain(dev, "cannot put it on the list");
}

int verb_badblocks(const struct options *options, char **args)
{
	struct work work = { .mode = O_RDONLY, .work = list_all_bad };
	struct options ranged = *options;
	struct libscols_table *table;
	int status;

	if (options->add && options->clear) {
		say("--add and --clear exclude each other");
		return EXIT_USAGE;
	}
	if (options->clear) {
		work = (struct work){
			.done = "cleared", .mode = O_RDWR, .wanted = may_clear, .work = clear_bad,
		};
		return work_on_each(&work, options, args);
	}
	if (options->add) {
		if (options->offset || options->length != UINT64_MAX) {
			say("--add has the range, so --start and --length are not for it");
			return EXIT_USAGE;
		}
		if (!parse_range(options->add, '+', &ranged.offset, &ranged.length) ||
		    !ranged.length || (ranged.offset | ranged.length) % SECTOR) {
			say("'%s' is no range of sectors: START+LENGTH, in bytes, multiples of 512",
			    options->add);
			return EXIT_USAGE;
		}
		work.work = add_bad;
		work.wanted = may_add;
		work.done = "marked";
		return work_on_each(&work, &ranged, args);
	}
	table = new_table(options, NULL);
	work.arg = table;
	status = work_on_each(&work, options, args);
	if (status == EXIT_USAGE) {
		scols_unref_table(table);
		return status;
	}
	return table_print(table) ?: status;
}
