// SPDX-License-Identifier: GPL-2.0
/* karrayctl's verbs that change what devices there are, and how they are. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "karrayctl.h"

#define ACPI	"/sys/bus/acpi/devices"

/* How long a DIMM may take to leave, and who looks at a disk for a moment (blkid), ms. */
#define EJECT_PATIENCE	60000
#define BUSY_PATIENCE	1000
#define STEP		50

/* Why it was refused: what the kernel has in its log, or else what the errno means. */
static void refused(const struct device *dev, const char *what, int error, int log)
{
	char *reason = log_reason(log, dev->name);

	if (reason)
		say("%s: %s", dev->name, reason);
	else
		say("%s: cannot %s: %s", dev->name, what, meaning(error));
	free(reason);
	if (error == EBUSY)
		say_holders(dev);
}

static bool has_holders(const struct device *dev)
{
	char **holders = device_holders(dev);
	bool any = holders;

	strings_free(holders);
	return any;
}

/* Somebody who keeps it, and was gone when we looked for him, will not stay. */
static bool is_passing(const struct device *dev, int error, int *left)
{
	if (error != EBUSY || *left <= 0 || has_holders(dev))
		return false;
	usleep(STEP * 1000);
	*left -= STEP;
	return true;
}

/*
 * Emptying memory, and zeroing it, may take minutes, and a signal ends that. The kernel puts
 * the memory's blocks back where they were only if the program isn't being killed meanwhile:
 * so the signal interrupts the write, and kills us when that has returned.
 */
static const int signals[] = { SIGHUP, SIGINT, SIGTERM };
static struct sigaction old_actions[ARRAY_SIZE(signals)];
static volatile sig_atomic_t caught;

static void catch(int number)
{
	caught = number;
}

static void catch_signals(void)
{
	const struct sigaction action = { .sa_handler = catch };
	size_t i;

	caught = 0;
	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		sigaction(signals[i], NULL, &old_actions[i]);
		if (old_actions[i].sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	}
}

static void release_signals(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &old_actions[i], NULL);
	if (caught)
		raise(caught);
}

int change_state(struct device *dev, const char *state)
{
	/* To go online, no user can be in the way. */
	int log = log_open(), error = 0, left = strcmp(state, "online") ? BUSY_PATIENCE : 0;
	char *what = text("make it %s", state);

	device_lock(dev);
	catch_signals();
	if (!device_is(dev, "state", state))
		do {
			error = device_put(dev, "state", state);
		} while (!caught && is_passing(dev, error, &left));
	if (error)
		refused(dev, what, error, log);
	release_signals();
	device_nodes(dev);
	if (log >= 0)
		close(log);
	free(what);
	return error ? -1 : 0;
}

/* Settings ------------------------------------------------------------------- */

static const struct {
	const char *name, *help;
} settings[] = {
	{ "queue_mode",		"how the disk takes I/O: mq or bio" },
	{ "nr_queues",		"hardware queues of the disk, 0 for one for each CPU" },
	{ "poll_queues",	"more of them, for polled I/O" },
	{ "queue_depth",	"requests in each, 0 for the default" },
	{ "logical_block_size",	"of the disk, 512 to 4096 bytes" },
	{ "dax",		"1: the memory has struct pages" },
	{ "read_only",		"1: neither disk nor char device can be written" },
};

void list_settings(void)
{
	size_t i;

	puts("\nSettings:");
	for (i = 0; i < ARRAY_SIZE(settings); i++)
		printf("  %-19s %s\n", settings[i].name, settings[i].help);
}

bool is_setting(const char *arg)
{
	size_t i, len = strcspn(arg, "=");

	/* Writing nothing would change nothing. */
	if (!arg[len] || !arg[len + 1])
		return false;
	for (i = 0; i < ARRAY_SIZE(settings); i++)
		if (strlen(settings[i].name) == len && !strncmp(settings[i].name, arg, len))
			return true;
	return false;
}

/* The value of "NAME=VALUE". */
static const char *value_of(const char *setting)
{
	return setting + strcspn(setting, "=") + 1;
}

static char *name_of(const char *setting)
{
	return text("%.*s", (int)strcspn(setting, "="), setting);
}

static int put_setting(struct device *dev, const char *setting)
{
	char *name = name_of(setting), *what = text("set %s", name);
	int log = log_open(), error = device_put(dev, name, value_of(setting));

	if (error)
		refused(dev, what, error, log);
	if (log >= 0)
		close(log);
	free(what);
	free(name);
	return error ? -1 : 0;
}

/* The present values of the same settings, "NAME=VALUE". */
static char **present_settings(const struct device *dev, char **wanted)
{
	char **present = NULL, *name, *value;

	for (; *wanted; wanted++) {
		name = name_of(*wanted);
		value = device_get(dev, name);
		strings_add(&present, text("%s=%s", name, value ?: ""));
		free(value);
		free(name);
	}
	return present;
}

/* Numbers can be written in several ways: 128, 0x80. */
static bool same_value(const char *one, const char *other)
{
	char *end, *other_end;
	unsigned long a = strtoul(one, &end, 0), b = strtoul(other, &other_end, 0);

	if (end == one || *end || other_end == other || *other_end)
		return !strcmp(one, other);
	return a == b;
}

static bool same_settings(char **present, char **wanted)
{
	for (; present && *wanted; wanted++, present++)
		if (!same_value(value_of(*present), value_of(*wanted)))
			return false;
	return true;
}

/* Writes the settings; if one is refused, those before it get their old values again. */
static int put_settings(struct device *dev, char **wanted, char **old)
{
	size_t n;

	for (n = 0; wanted[n]; n++)
		if (put_setting(dev, wanted[n]))
			break;
	if (!wanted[n])
		return 0;
	while (n--)
		put_setting(dev, old[n]);
	return -1;
}

int change_settings(struct device *dev, char **wanted)
{
	bool was_online;
	int ret = 0;
	char **old;

	device_lock(dev);
	old = present_settings(dev, wanted);
	was_online = device_is(dev, "state", "online");
	if (same_settings(old, wanted))
		goto out;
	ret = was_online ? change_state(dev, "offline") : 0;
	if (ret)
		goto out;
	ret = put_settings(dev, wanted, old);
	if (!was_online)
		goto out;
	if (change_state(dev, "online")) {
		ret = -1;
		say("%s: gets its old settings", dev->name);
		if (!put_settings(dev, old, wanted))
			change_state(dev, "online");
	}
out:
	strings_free(old);
	return ret;
}

/* Verbs for devices ------------------------------------------------------------ */

struct change {
	const char *done;		/* what has been done to them: "taken" */
	const char *question;		/* before it's done, after the name; NULL: none */
	bool (*applies)(const struct device *dev);	/* of "all" */
	int (*change)(struct device *dev, const struct options *options);
};

static bool is_online(const struct device *dev)
{
	return device_is(dev, "state", "online");
}

static bool is_offline(const struct device *dev)
{
	return device_is(dev, "state", "offline");
}

static bool is_system_ram(const struct device *dev)
{
	return device_is(dev, "state", "system-ram");
}

static bool is_taken(const struct device *dev)
{
	return !is_system_ram(dev) && !faccessat(dev->dir, "takeable", F_OK, 0);
}

static bool has_origin(const struct device *dev, const char *kind)
{
	char *origin = device_get(dev, "origin");
	bool yes = origin && !strncmp(origin, kind, strlen(kind));

	free(origin);
	return yes;
}

static bool is_dimm(const struct device *dev)
{
	return has_origin(dev, "acpi:");
}

static bool is_region(const struct device *dev)
{
	return has_origin(dev, "region:");
}

/* A change, and what was said of it. */
struct order {
	const struct change *change;
	const struct options *options;
	bool all;
};

static int change_one(struct device *dev, void *arg)
{
	const struct order *order = arg;
	const struct change *change = order->change;

	if (order->all && !change->applies(dev))
		return 1;
	if (change->question && !confirmed(order->options, "%s: %s", dev->name, change->question))
		return -1;
	return change->change(dev, order->options);
}

static int change_each(const struct change *change, const struct options *options, char **args)
{
	struct order order = { .change = change, .options = options };
	unsigned int n, failed;
	char **arg;
	int status;

	for (arg = args; *arg; arg++)
		order.all |= !strcmp(*arg, "all");
	status = devices_each(args, change_one, &order, &n, &failed);
	if (status)
		return status;
	wait_for_udev();
	return count_message(change->done, n, failed);
}

static int go_online(struct device *dev, const struct options *options)
{
	(void)options;
	if (!is_system_ram(dev))
		return change_state(dev, "online");
	say("%s: is System RAM; karrayctl take %s makes it a device", dev->name, dev->name);
	return -1;
}

int verb_online(const struct options *options, char **args)
{
	static const struct change change = { "online", NULL, is_offline, go_online };

	return change_each(&change, options, args);
}

static int go_offline(struct device *dev, const struct options *options)
{
	(void)options;
	if (!is_system_ram(dev))
		return change_state(dev, "offline");
	say("%s: is System RAM, which karray can't take offline", dev->name);
	return -1;
}

int verb_offline(const struct options *options, char **args)
{
	static const struct change change = { "offline", NULL, is_online, go_offline };

	return change_each(&change, options, args);
}

static int take(struct device *dev, const struct options *options)
{
	char *answer;
	int ret;

	if (!is_system_ram(dev)) {
		say("%s: is not System RAM", dev->name);
		return -1;
	}
	if (!options->dry_run)
		return change_state(dev, "online");
	answer = device_get(dev, "takeable");
	ret = answer && !strcmp(answer, "yes") ? 0 : -1;
	say("%s: %s", dev->name, ret ? answer ?: "cannot be asked: this needs root" : "could be taken");
	free(answer);
	return ret;
}

int verb_take(const struct options *options, char **args)
{
	static const struct change change = { "taken", NULL, is_system_ram, take };
	static const struct change dry = { "takeable", NULL, is_system_ram, take };

	return change_each(options->dry_run ? &dry : &change, options, args);
}

static int give_back(struct device *dev, const struct options *options)
{
	(void)options;
	if (faccessat(dev->dir, "takeable", F_OK, 0)) {
		say("%s: is not from System RAM", dev->name);
		return -1;
	}
	return change_state(dev, "system-ram");
}

int verb_give_back(const struct options *options, char **args)
{
	static const struct change change = {
		"given back", "give it to the kernel as System RAM? All that it holds is lost.",
		is_taken, give_back
	};

	return change_each(&change, options, args);
}

/*
 * The kernel answers to a wish to eject later: the device goes, or "Offline failed." is in
 * the log. Being online it is asked before, which is answered at once.
 */
static int eject(struct device *dev, const struct options *options)
{
	char *origin = device_get(dev, "origin"), *path = NULL;
	int log = log_open(), fd = -1, left, ret = -1;
	bool was_online = is_online(dev);

	(void)options;
	if (!is_dimm(dev)) {
		say("%s: %s", dev->name, origin ? "is no DIMM: only these can be ejected" : "has gone");
		goto out;
	}
	path = text(ACPI "/%s/eject", origin + strlen("acpi:"));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		refused(dev, "eject it", errno, log);
		goto out;
	}
	if (was_online && change_state(dev, "offline"))
		goto out;
	if (write(fd, "1", 1) != 1) {
		refused(dev, "eject it", errno, log);
		goto out_online;
	}
	for (left = EJECT_PATIENCE; left > 0; left -= STEP) {
		if (!device_is_there(dev)) {
			ret = 0;
			goto out;
		}
		if (log_says(log, "Offline failed."))
			break;
		usleep(STEP * 1000);
	}
	say("%s: has not left; dmesg may tell why", dev->name);
out_online:
	if (was_online)
		change_state(dev, "online");
out:
	if (fd >= 0)
		close(fd);
	if (log >= 0)
		close(log);
	free(path);
	free(origin);
	return ret;
}

int verb_eject(const struct options *options, char **args)
{
	static const struct change change = {
		"ejected", "eject the DIMM? It takes all that it holds with it.", is_dimm, eject
	};

	return change_each(&change, options, args);
}

static char **chosen_settings;

static int set(struct device *dev, const struct options *options)
{
	(void)options;
	return change_settings(dev, chosen_settings);
}

static bool any(const struct device *dev)
{
	(void)dev;
	return true;
}

int verb_set(const struct options *options, char **args)
{
	static const struct change change = { "set", NULL, any, set };
	char **names = NULL;
	int status;

	for (chosen_settings = NULL; *args; args++) {
		if (!strchr(*args, '=')) {
			strings_add(&names, text("%s", *args));
		} else if (is_setting(*args)) {
			strings_add(&chosen_settings, text("%s", *args));
		} else {
			say("there is no setting '%s'; karrayctl set --help shows all", *args);
			status = EXIT_USAGE;
			goto out;
		}
	}
	if (!chosen_settings) {
		say("set what? NAME=VALUE; karrayctl set --help shows all");
		status = EXIT_USAGE;
		goto out;
	}
	status = change_each(&change, options, names ?: (char *[]){ NULL });
out:
	strings_free(names);
	strings_free(chosen_settings);
	return status;
}

/* Ranges set aside at boot --------------------------------------------------------- */

/* The name of the device that has come to be, for scripts. */
static void print_created(uint64_t start)
{
	struct devices devs = devices_all();
	char *origin = text("region:0x%" PRIx64, start);
	size_t i;

	for (i = 0; i < devs.count; i++)
		if (device_is(&devs.dev[i], "origin", origin))
			puts(devs.dev[i].name);
	free(origin);
	devices_free(&devs);
}

static bool is_range(const char *word)
{
	uint64_t size, start;

	if (parse_range(word, '@', &size, &start))
		return true;
	say("'%s' is no range: SIZE@START, as in 2G@4G", word);
	return false;
}

static int create(const char *range)
{
	uint64_t size = 0, start = 0;
	char *reason, *value;
	int log, error;

	parse_range(range, '@', &size, &start);
	log = log_open();
	value = text("0x%" PRIx64 "@0x%" PRIx64, size, start);
	error = bus_put("create", value);
	free(value);
	if (error) {
		reason = log_reason(log, NULL);
		say("%s: %s", range, reason ?: meaning(error));
		free(reason);
	} else {
		print_created(start);
	}
	if (log >= 0)
		close(log);
	return error ? -1 : 0;
}

int verb_create(const struct options *options, char **args)
{
	unsigned int n = 0, failed = 0;
	char **arg;

	(void)options;
	if (!*args) {
		say("create which? SIZE@START, as in 2G@4G");
		return EXIT_USAGE;
	}
	for (arg = args; *arg; arg++)
		if (!is_range(*arg))
			return EXIT_USAGE;
	if (!karray_loaded())
		return EXIT_FAILURE;
	for (; *args; args++)
		if (create(*args))
			failed++;
		else
			n++;
	wait_for_udev();
	return count_message("created", n, failed);
}

static int delete(struct device *dev, const struct options *options)
{
	int log = log_open(), error, left = BUSY_PATIENCE;

	(void)options;
	device_lock(dev);
	do {
		/* The name may be another one's by now. */
		error = device_is_there(dev) ? bus_put("delete", dev->name) : ENODEV;
	} while (is_passing(dev, error, &left));
	if (error)
		refused(dev, "delete it", error, log);
	if (log >= 0)
		close(log);
	return error ? -1 : 0;
}

int verb_delete(const struct options *options, char **args)
{
	static const struct change change = { "deleted", NULL, is_region, delete };

	return change_each(&change, options, args);
}
