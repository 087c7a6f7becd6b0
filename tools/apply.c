// SPDX-License-Identifier: GPL-2.0
/*
 * karrayctl apply: what /etc/karray.conf wants of devices, when they appear and at boot.
 *
 *	# MATCH			ACTION		SETTINGS
 *	serial=140000000-0x00	take		queue_mode=bio
 *	origin=region:*		offline
 *	*			online
 *
 * The first line that matches a device counts; one that matches no line is left alone.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "karrayctl.h"

#define CONFIG	"/etc/karray.conf"

/* How long a device may take to go online by itself, ms: struct pages take time. */
#define PATIENCE	30000
#define STEP		50

struct rule {
	char *match;
	char *action;
	char **settings;
};

struct rules {
	struct rule *rule;
	size_t count;
};

static const char *const actions[] = { "take", "online", "offline", "leave" };

static bool is_action(const char *word)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(actions); i++)
		if (!strcmp(word, actions[i]))
			return true;
	return false;
}

static bool is_match(const char *word)
{
	return !strcmp(word, "*") || (word[0] != '=' && word[0] != '/' && strchr(word, '='));
}

static void free_rules(struct rules *rules)
{
	while (rules->count) {
		struct rule *rule = &rules->rule[--rules->count];

		free(rule->match);
		free(rule->action);
		strings_free(rule->settings);
	}
	free(rules->rule);
}

/* A line of the file; false if it's wrong, and @where tells of it. */
static bool parse_line(struct rules *rules, char *line, const char *where)
{
	static const char blanks[] = " \t\n";
	struct rule rule = { 0 };
	char *word, *at;

	line[strcspn(line, "#")] = '\0';
	word = strtok_r(line, blanks, &at);
	if (!word)
		return true;
	if (!is_match(word)) {
		say("%s: '%s' is no match: ATTRIBUTE=PATTERN, or *", where, word);
		return false;
	}
	rule.match = text("%s", word);
	word = strtok_r(NULL, blanks, &at);
	if (!word || !is_action(word)) {
		say("%s: '%s' is no action: take, online, offline or leave", where, word ?: "");
		free(rule.match);
		return false;
	}
	rule.action = text("%s", word);

	rules->rule = must(reallocarray(rules->rule, rules->count + 1, sizeof(rule)));
	while ((word = strtok_r(NULL, blanks, &at))) {
		if (!is_setting(word)) {
			say("%s: there is no setting '%s'", where, word);
			rules->rule[rules->count++] = rule;
			return false;
		}
		strings_add(&rule.settings, text("%s", word));
	}
	rules->rule[rules->count++] = rule;
	if (rule.settings && !strcmp(rule.action, "leave")) {
		say("%s: 'leave' does nothing, so it takes no settings", where);
		return false;
	}
	return true;
}

/* Nothing is done if a line is wrong. */
static bool read_rules(const char *path, struct rules *rules)
{
	FILE *file = fopen(path, "re");
	unsigned int number = 0;
	char *line = NULL, *where;
	size_t size = 0;
	bool ok = true;

	if (!file) {
		say("%s: %s", path, strerror(errno));
		return false;
	}
	while (getline(&line, &size, file) >= 0) {
		where = text("%s:%u", path, ++number);
		ok &= parse_line(rules, line, where);
		free(where);
	}
	if (ferror(file)) {
		say("%s: cannot be read", path);
		ok = false;
	}
	free(line);
	fclose(file);
	return ok;
}

static bool matches(const struct device *dev, const char *match)
{
	size_t len = strcspn(match, "=");
	char *attr, *value;
	bool yes;

	if (!strcmp(match, "*"))
		return true;
	attr = text("%.*s", (int)len, match);
	value = device_get(dev, attr);
	yes = value && !fnmatch(match + len + 1, value, 0);
	free(value);
	free(attr);
	return yes;
}

static const struct rule *find_rule(const struct rules *rules, const struct device *dev)
{
	size_t i;

	for (i = 0; i < rules->count; i++)
		if (matches(dev, rules->rule[i].match))
			return &rules->rule[i];
	return NULL;
}

static void tell(const struct device *dev, const struct rule *rule)
{
	char **setting;

	printf("%s: %s", dev->name, rule ? rule->action : "leave");
	for (setting = rule ? rule->settings : NULL; setting && *setting; setting++)
		printf(" %s", *setting);
	putchar('\n');
}

/* A device that has just appeared may be about to go online. */
static void wait_for(const struct device *dev)
{
	int left;

	for (left = PATIENCE; left && device_is(dev, "state", "offline"); left -= STEP)
		usleep(STEP * 1000);
}

static int apply(struct device *dev, const struct rule *rule, const struct options *options)
{
	bool ram;

	if (!rule || !strcmp(rule->action, "leave"))
		return 0;
	if (options->udev)
		wait_for(dev);
	ram = device_is(dev, "state", "system-ram");
	/* Only "take" means those that are System RAM. */
	if (ram && strcmp(rule->action, "take"))
		return 0;
	if (!strcmp(rule->action, "offline") && change_state(dev, "offline"))
		return -1;
	if (rule->settings && change_settings(dev, rule->settings))
		return -1;
	return strcmp(rule->action, "offline") ? change_state(dev, "online") : 0;
}

int verb_apply(const struct options *options, char **args)
{
	static char *const all[] = { "all", NULL };
	struct rules rules = { 0 };
	unsigned int n = 0, failed = 0;
	struct devices devs;
	size_t i;

	if (options->udev)
		called_by_udev();
	if (!read_rules(options->config ?: CONFIG, &rules)) {
		free_rules(&rules);
		return EXIT_USAGE;
	}
	if (!karray_loaded()) {
		free_rules(&rules);
		return EXIT_FAILURE;
	}
	devs = devices_named(*args ? args : (char **)all, &failed);
	for (i = 0; i < devs.count; i++) {
		const struct rule *rule = find_rule(&rules, &devs.dev[i]);

		if (options->dry_run) {
			tell(&devs.dev[i], rule);
			continue;
		}
		if (apply(&devs.dev[i], rule, options))
			failed++;
		else
			n++;
	}
	devices_free(&devs);
	free_rules(&rules);
	if (!options->dry_run)
		return count_message("as configured", n, failed);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
