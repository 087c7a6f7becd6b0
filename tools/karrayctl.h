/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of karrayctl share. */
#ifndef KARRAYCTL_H
#define KARRAYCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Exit statuses: some of what was asked for could not be done; wrong arguments. */
#define EXIT_USAGE	2

/* What the options say; see the table in karrayctl.c. */
struct options {
	const char *columns;
	bool all_columns;
	bool no_headings;
	bool raw;
	bool bytes;
	bool json;
	bool force;
	bool dry_run;
	bool clear;
	bool udev;
	const char *add;
	const char *config;
	uint64_t offset;
	uint64_t length;	/* UINT64_MAX: up to the end */
};

/* device.c ------------------------------------------------------------------ */

/* A device of the bus "karray", as sysfs has it. */
struct device {
	char name[16];			/* karrayN */
	int dir;			/* of its attributes */
	int lock;			/* -1: none */
	char chr[16];			/* its char device's name, "" where it has none */
	char disk[16];			/* its disk's, likewise */
	dev_t chr_dev;
	dev_t disk_dev;
};

struct devices {
	struct device *dev;
	size_t count;
};

/* Is the module there? Says so if not. */
bool karray_loaded(void);

/* All devices, by their numbers. */
struct devices devices_all(void);

/*
 * The devices that @names (of a device, a node, or a link to one) mean, each once; all of
 * them for "all". @failed counts those that there are not, which is said.
 */
struct devices devices_named(char **names, unsigned int *failed);
void devices_free(struct devices *devs);

/*
 * Calls @fn for each device that @names mean, and counts: 0 is done, 1 is left out, -1 has
 * failed. Returns 0, or an exit status with the reason told where nothing can be done.
 */
int devices_each(char **names, int (*fn)(struct device *dev, void *arg), void *arg,
		 unsigned int *done, unsigned int *failed);

/* Looks up which nodes the device has: they come and go with the state "online". */
void device_nodes(struct device *dev);

/* An attribute's text without its newline, to be freed; NULL if it can't be read. */
char *device_get(const struct device *dev, const char *attr);
bool device_is(const struct device *dev, const char *attr, const char *value);
uint64_t device_size(const struct device *dev);

/* Writes an attribute, of the device or of the bus; 0 or an errno. */
int device_put(const struct device *dev, const char *attr, const char *value);
int bus_put(const char *attr, const char *value);

/* Is it still there? Another may have its name by now. */
bool device_is_there(const struct device *dev);

/*
 * One of us at a time changes a device: a lock until the device is freed. Waits for udev
 * before that, and not while we have it, since udev's rule may wait for the lock.
 */
void device_lock(struct device *dev);

/* Waits until udev has done what the devices' last changes ask for, where it runs. */
void wait_for_udev(void);

/* It's udev that waits for us: nobody waits for it, and messages go to the system's log. */
void called_by_udev(void);

/* log.c --------------------------------------------------------------------- */

/* The kernel's log from here on, or -1. */
int log_open(void);

/*
 * What the kernel has said since, last of all, of the device @name, or of none if that's
 * NULL; to be freed, NULL if nothing. Goes on reading there next time.
 */
char *log_reason(int log, const char *name);

/* Has the kernel said this since? Goes on reading there next time. */
bool log_says(int log, const char *words);

/* holders.c ----------------------------------------------------------------- */

/* Sentences, without the device's name: "/dev/karrayb0 is mounted on /mnt". */
char **device_holders(const struct device *dev);
void say_holders(const struct device *dev);

/* Where the disk, a partition, or what is built of them is mounted; "[SWAP]" for swap. */
char **device_mounts(const struct device *dev);
void strings_add(char ***strings, char *text);
void strings_free(char **strings);

/* text.c -------------------------------------------------------------------- */

/* As printf(), to be freed; there is memory, or no more program. */
char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *must(void *memory);

/* Messages for people, on stderr: "karrayctl: ..."; or in the system's log from here on. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_messages(void);

/* 1.5G, as lsblk has it. */
char *human_size(uint64_t bytes);

/* "64M" and the like; false if it is no size. */
bool parse_size(const char *arg, uint64_t *bytes);

/* "SIZE@START", or "START+LENGTH". */
bool parse_range(const char *arg, char between, uint64_t *first, uint64_t *second);

/* Asks on the terminal, or is answered by --force. */
bool confirmed(const struct options *options, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* What an errno means to who changes or reads a device. */
const char *meaning(int error);

/* "2 devices taken, 1 failed", and the exit status. */
int count_message(const char *done, unsigned int n, unsigned int failed);

/* A percentage on the terminal; @done == @all ends it. */
void progress(const char *what, uint64_t done, uint64_t all);

/* The verbs ------------------------------------------------------------------ */

/* Each returns an exit status. @args ends with NULL. */
int verb_list(const struct options *options, char **args);
int verb_info(const struct options *options, char **args);
int verb_online(const struct options *options, char **args);
int verb_offline(const struct options *options, char **args);
int verb_set(const struct options *options, char **args);
int verb_take(const struct options *options, char **args);
int verb_give_back(const struct options *options, char **args);
int verb_create(const struct options *options, char **args);
int verb_delete(const struct options *options, char **args);
int verb_eject(const struct options *options, char **args);
int verb_badblocks(const struct options *options, char **args);
int verb_zero(const struct options *options, char **args);
int verb_checksum(const struct options *options, char **args);
int verb_monitor(const struct options *options, char **args);
int verb_apply(const struct options *options, char **args);

/* What is on the disk, by libblkid ("TYPE", "LABEL"), to be freed; NULL: nothing known. */
char *disk_content(const struct device *dev, const char *what);

/* A table as the options want it; and printed, an exit status. */
struct libscols_table;
struct libscols_table *table_new(const struct options *options);
int table_print(struct libscols_table *table);

/* The columns that -o knows, for --help. */
void list_columns(void);

/* change.c, also for apply.c: 0, or -1 after it has said why not. */
int change_state(struct device *dev, const char *state);
int change_settings(struct device *dev, char **wanted);

/* Is it "NAME=VALUE" of a setting that there is? */
bool is_setting(const char *arg);

/* For --help: what can be set. */
void list_settings(void);

#endif /* KARRAYCTL_H */
