// SPDX-License-Identifier: GPL-2.0
/* karrayctl list and info: a table of columns, as lsblk has it. */

#define _GNU_SOURCE
#include <blkid/blkid.h>
#include <ctype.h>
#include <errno.h>
#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "karrayctl.h"

enum kind { TEXT, NUMBER, SIZE, BOOLEAN, STRINGS };

/* A column: what an attribute says, or the disk's content, or a function. */
struct column {
	const char *name;
	const char *help;
	enum kind kind;
	const char *attr;
	const char *content;		/* libblkid's name of it */
	char *(*get)(const struct device *dev);		/* NULL: nothing to say */
	char **(*get_strings)(const struct device *dev);	/* of STRINGS */
};

static char *get_name(const struct device *dev)
{
	return text("%s", dev->name);
}

static char *get_chr(const struct device *dev)
{
	return dev->chr[0] ? text("/dev/%s", dev->chr) : NULL;
}

static char *get_disk(const struct device *dev)
{
	return dev->disk[0] ? text("/dev/%s", dev->disk) : NULL;
}

static char *get_mount(const struct device *dev)
{
	char **mounts = device_mounts(dev);
	char *first = mounts && mounts[0] ? text("%s", mounts[0]) : NULL;

	strings_free(mounts);
	return first;
}

/* How many ranges of bad sectors there are: lines of the disk's list. */
static char *get_bad(const struct device *dev)
{
	char *attr, *list, *at;
	unsigned int lines = 0;

	if (!dev->disk[0])
		return NULL;
	attr = text("block/%s/badblocks", dev->disk);
	list = device_get(dev, attr);
	free(attr);
	for (at = list; at && *at; at = strchr(at, '\n'), at += at ? 1 : 0)
		lines++;
	if (!list)
		return NULL;
	free(list);
	return text("%u", lines);
}

/* What is on the disk: opens it, and so isn't done unless asked for. */
char *disk_content(const struct device *dev, const char *what)
{
	char *path = get_disk(dev), *found = NULL;
	const char *value;
	blkid_probe probe = path ? blkid_new_probe_from_filename(path) : NULL;

	if (probe) {
		blkid_probe_enable_partitions(probe, 1);
		blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL |
							 BLKID_SUBLKS_UUID);
		if (!blkid_do_safeprobe(probe) &&
		    !blkid_probe_lookup_value(probe, what, &value, NULL))
			found = text("%s", value);
		blkid_free_probe(probe);
	}
	free(path);
	return found;
}

static const struct column columns[] = {
	{ "NAME",	  "the device's name", TEXT, .get = get_name },
	{ "SIZE",	  "how many bytes it has", SIZE, .attr = "size" },
	{ "STATE",	  "online, offline or system-ram", TEXT, .attr = "state" },
	{ "MODE",	  "how its disk takes I/O: mq or bio", TEXT, .attr = "queue_mode" },
	{ "NODE",	  "its NUMA node", NUMBER, .attr = "node" },
	{ "RO",		  "whether it can't be written", BOOLEAN, .attr = "read_only" },
	{ "BLOCKDEV",	  "its disk", TEXT, .get = get_disk },
	{ "MOUNTPOINT",	  "where the disk, or what is made of it, is mounted", TEXT, .get = get_mount },
	{ "MOUNTPOINTS",  "all places where it is mounted", STRINGS, .get_strings = device_mounts },
	{ "CHARDEV",	  "its char device", TEXT, .get = get_chr },
	{ "ORIGIN",	  "where its memory is from", TEXT, .attr = "origin" },
	{ "PHYS-ADDR",	  "its physical address (for root)", TEXT, .attr = "phys_addr" },
	{ "USERS",	  "how many opens keep it online", NUMBER, .attr = "users" },
	{ "HOLDERS",	  "who they are (for root, all of them)", STRINGS, .get_strings = device_holders },
	{ "TAKEABLE",	  "whether it could be taken from System RAM, or why not (for root)", TEXT,
	  .attr = "takeable" },
	{ "BAD",	  "how many ranges of bad sectors it has", NUMBER, .get = get_bad },
	{ "DAX",	  "whether its memory has struct pages", BOOLEAN, .attr = "dax" },
	{ "DAX-COST",	  "what these take of System RAM", SIZE, .attr = "dax_cost" },
	{ "QUEUES",	  "hardware queues, 0 for one for each CPU", NUMBER, .attr = "nr_queues" },
	{ "POLL-QUEUES",  "more of them, for polled I/O", NUMBER, .attr = "poll_queues" },
	{ "QUEUE-DEPTH",  "requests in each, 0 for the default", NUMBER, .attr = "queue_depth" },
	{ "LOG-SEC",	  "logical block size of the disk", NUMBER, .attr = "logical_block_size" },
	{ "FSTYPE",	  "file system on the disk (opens it)", TEXT, .content = "TYPE" },
	{ "PTTYPE",	  "partition table on the disk (opens it)", TEXT, .content = "PTTYPE" },
	{ "LABEL",	  "the file system's label (opens the disk)", TEXT, .content = "LABEL" },
	{ "UUID",	  "the file system's UUID (opens the disk)", TEXT, .content = "UUID" },
	{ "MODEL",	  "the disk's model", TEXT, .attr = "model" },
	{ "SERIAL",	  "the disk's serial number, by address and slot", TEXT, .attr = "serial" },
	{ "WWID",	  "the disk's world-wide identifier", TEXT, .attr = "wwid" },
};

static const char default_columns[] = "NAME,SIZE,STATE,MODE,NODE,RO,BLOCKDEV,MOUNTPOINT";

void list_columns(void)
{
	size_t i;

	puts("\nColumns:");
	for (i = 0; i < ARRAY_SIZE(columns); i++)
		printf("  %-12s  %s\n", columns[i].name, columns[i].help);
}

/* A value as a cell has it, or NULL. */
static char *value_of(const struct column *col, const struct device *dev,
		      const struct options *options)
{
	char *value, *size;

	if (col->content)
		value = disk_content(dev, col->content);
	else
		value = col->get ? col->get(dev) : device_get(dev, col->attr);

	if (value && col->kind == SIZE && !options->bytes && !options->json) {
		size = human_size(strtoull(value, NULL, 10));
		free(value);
		value = size;
	}
	return value;
}

/* libsmartcols separates the items of a cell by newlines. */
static char *strings_of(const struct column *col, const struct device *dev)
{
	char **strings = col->get_strings(dev), *all = NULL, *more;
	size_t i;

	for (i = 0; strings && strings[i]; i++) {
		more = all ? text("%s\n%s", all, strings[i]) : text("%s", strings[i]);
		free(all);
		all = more;
	}
	strings_free(strings);
	return all;
}

static void set_cell(struct libscols_line *line, size_t n, const struct column *col,
		     const struct device *dev, const struct options *options)
{
	char *value = col->kind == STRINGS ? strings_of(col, dev) : value_of(col, dev, options);

	if (value && scols_line_refer_data(line, n, value))
		must(NULL);
}

static void add_column(struct libscols_table *table, const struct column *col)
{
	int flags = col->kind == NUMBER || col->kind == SIZE || col->kind == BOOLEAN ? SCOLS_FL_RIGHT : 0;
	struct libscols_column *scol;

	if (col->kind == STRINGS)
		flags |= SCOLS_FL_WRAP;
	scol = must(scols_table_new_column(table, col->name, 0, flags));
	switch (col->kind) {
	case TEXT:
		scols_column_set_json_type(scol, SCOLS_JSON_STRING);
		break;
	case NUMBER:
	case SIZE:
		scols_column_set_json_type(scol, SCOLS_JSON_NUMBER);
		break;
	case BOOLEAN:
		scols_column_set_json_type(scol, SCOLS_JSON_BOOLEAN);
		break;
	case STRINGS:
		scols_column_set_json_type(scol, SCOLS_JSON_ARRAY_STRING);
		scols_column_set_wrapfunc(scol, scols_wrapnl_chunksize, scols_wrapnl_nextchunk, NULL);
		scols_column_set_safechars(scol, "\n");
		break;
	}
}

/* The columns by their names, "A,B", or "+A,B" for these and the default ones. */
static bool parse_columns(const char *names, const struct column **chosen, size_t *count)
{
	const char *end;
	size_t i, len;

	*count = 0;
	if (*names == '+') {
		parse_columns(default_columns, chosen, count);
		names++;
	}
	for (;; names = end + 1) {
		end = strchrnul(names, ',');
		len = end - names;
		for (i = 0; i < ARRAY_SIZE(columns); i++)
			if (strlen(columns[i].name) == len &&
			    !strncasecmp(columns[i].name, names, len))
				break;
		if (i == ARRAY_SIZE(columns)) {
			say("unknown column '%.*s'; karrayctl list --help shows all", (int)len, names);
			return false;
		}
		if (*count == 2 * ARRAY_SIZE(columns)) {
			say("too many columns");
			return false;
		}
		chosen[(*count)++] = &columns[i];
		if (!*end)
			return true;
	}
}

struct libscols_table *table_new(const struct options *options)
{
	struct libscols_table *table;

	scols_init_debug(0);
	table = must(scols_new_table());
	scols_table_enable_json(table, options->json);
	scols_table_enable_raw(table, options->raw);
	scols_table_enable_noheadings(table, options->no_headings);
	scols_table_set_name(table, "karraydevices");
	return table;
}

int table_print(struct libscols_table *table)
{
	int failed = scols_print_table(table);

	scols_unref_table(table);
	if (failed || fflush(stdout) || ferror(stdout)) {
		say("cannot write: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

/* The devices that the arguments name, all if there are none. */
static bool choose(char **args, struct devices *devs, unsigned int *failed)
{
	if (!karray_loaded())
		return false;
	*devs = *args ? devices_named(args, failed) : devices_all();
	return true;
}

int verb_list(const struct options *options, char **args)
{
	const struct column *chosen[2 * ARRAY_SIZE(columns)];
	struct libscols_table *table;
	struct libscols_line *line;
	unsigned int failed = 0;
	struct devices devs;
	size_t count, i, n;

	if (options->all_columns) {
		for (count = 0; count < ARRAY_SIZE(columns); count++)
			chosen[count] = &columns[count];
	} else if (!parse_columns(options->columns ?: default_columns, chosen, &count)) {
		return EXIT_USAGE;
	}
	if (!choose(args, &devs, &failed))
		return EXIT_FAILURE;

	table = table_new(options);
	for (i = 0; i < count; i++)
		add_column(table, chosen[i]);
	for (n = 0; n < devs.count; n++) {
		/* What has vanished meanwhile is left out. */
		if (!device_is_there(&devs.dev[n]))
			continue;
		line = must(scols_table_new_line(table, NULL));
		for (i = 0; i < count; i++)
			set_cell(line, i, chosen[i], &devs.dev[n], options);
	}
	devices_free(&devs);
	return table_print(table) || failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* All about one device, a line for each column that has something to say. */
static int print_info(const struct device *dev, const struct options *options)
{
	struct libscols_table *table = table_new(options);
	struct libscols_line *line;
	size_t i, at;
	char *name;

	scols_table_enable_noheadings(table, 1);
	must(scols_table_new_column(table, "FIELD", 0, 0));
	add_column(table, &(struct column){ .name = "VALUE", .kind = STRINGS });
	for (i = 0; i < ARRAY_SIZE(columns); i++) {
		line = must(scols_table_new_line(table, NULL));
		name = text("%s", columns[i].name);
		for (at = 0; name[at]; at++)
			name[at] = tolower((unsigned char)name[at]);
		if (scols_line_refer_data(line, 0, name))
			must(NULL);
		set_cell(line, 1, &columns[i], dev, options);
		if (!scols_cell_get_data(scols_line_get_cell(line, 1)))
			scols_table_remove_line(table, line);
	}
	return table_print(table);
}

int verb_info(const struct options *options, char **args)
{
	struct options all = *options;
	int status = EXIT_SUCCESS;
	unsigned int failed = 0;
	struct devices devs;
	size_t n;

	all.all_columns = true;
	if (options->json)
		return verb_list(&all, args);
	if (!choose(args, &devs, &failed))
		return EXIT_FAILURE;
	for (n = 0; n < devs.count; n++) {
		if (!device_is_there(&devs.dev[n]))
			continue;
		if (n)
			putchar('\n');
		status |= print_info(&devs.dev[n], options);
	}
	devices_free(&devs);
	return status || failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
