// SPDX-License-Identifier: GPL-2.0
/*
 * karrayctl: lists and changes the devices of the kernel module karray. What the user
 * calls, the options, and what each verb takes of them is in the tables here; the verbs
 * are in files of their own. Words for people go to stderr, what programs may read to
 * stdout, and the exit status is 0 only if all went well.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "karrayctl.h"

struct command {
	const char *name;
	const char *args;
	const char *options;	/* letters of the table below */
	const char *help;
	int (*run)(const struct options *options, char **args);
	void (*more_help)(void);
};

static const struct command commands[] = {
	{ "list", "[DEVICE...]", "oOnrbJ",
	  "List devices (what is done without a command)", verb_list, list_columns },
	{ "info", "[DEVICE...]", "bJ",
	  "Show all there is to know about devices", verb_info, NULL },
	{ "online", "DEVICE...|all", "",
	  "Make their nodes, so that they can be used", verb_online, NULL },
	{ "offline", "DEVICE...|all", "",
	  "Take their nodes away; they keep what they hold", verb_offline, NULL },
	{ "set", "DEVICE...|all NAME=VALUE...", "",
	  "Change settings; they are offline meanwhile", verb_set, list_settings },
	{ "take", "DEVICE...|all", "N",
	  "Take DIMMs from System RAM and make devices of them; zeroes them", verb_take, NULL },
	{ "give-back", "DEVICE...|all", "f",
	  "Give such DIMMs to the kernel again", verb_give_back, NULL },
	{ "create", "SIZE@START...", "",
	  "Make devices of memory set aside at boot; prints their names", verb_create, NULL },
	{ "delete", "DEVICE...|all", "",
	  "Remove such devices; what they hold stays in memory", verb_delete, NULL },
	{ "eject", "DEVICE...|all", "f",
	  "Have DIMMs removed from the machine", verb_eject, NULL },
	{ "badblocks", "DEVICE...|all", "AcflnrsJ",
	  "List what can't be read; mark sectors as bad, or zero bad ones", verb_badblocks, NULL },
	{ "zero", "DEVICE...|all", "fls",
	  "Zero devices, or a range of them", verb_zero, NULL },
	{ "checksum", "DEVICE...|all", "lnrsJ",
	  "CRC-32C of devices, or of a range of them", verb_checksum, NULL },
	{ "monitor", "", "rJ",
	  "Show devices as they come, change and go", verb_monitor, NULL },
	{ "apply", "[DEVICE...]", "CNu",
	  "Do what /etc/karray.conf says about devices", verb_apply, NULL },
};

static const struct {
	struct option option;
	const char *arg;
	const char *help;
} option_table[] = {
	{ { "output", required_argument, NULL, 'o' }, "COLUMNS",
	  "these columns; +COLUMNS adds to the default" },
	{ { "output-all", no_argument, NULL, 'O' }, NULL, "all columns" },
	{ { "noheadings", no_argument, NULL, 'n' }, NULL, "no headings" },
	{ { "raw", no_argument, NULL, 'r' }, NULL, "single blanks between columns" },
	{ { "bytes", no_argument, NULL, 'b' }, NULL, "sizes in bytes" },
	{ { "json", no_argument, NULL, 'J' }, NULL, "JSON" },
	{ { "force", no_argument, NULL, 'f' }, NULL, "don't ask" },
	{ { "dry-run", no_argument, NULL, 'N' }, NULL, "only tell what would be done" },
	{ { "start", required_argument, NULL, 's' }, "OFFSET", "begin there" },
	{ { "length", required_argument, NULL, 'l' }, "SIZE", "so many bytes" },
	{ { "add", required_argument, NULL, 'A' }, "START+LENGTH", "mark these bytes as bad" },
	{ { "clear", no_argument, NULL, 'c' }, NULL, "zero what is bad, which makes it good" },
	{ { "config", required_argument, NULL, 'C' }, "FILE", "instead of /etc/karray.conf" },
	{ { "udev", no_argument, NULL, 'u' }, NULL, "called by udev: the device has just come" },
	{ { "help", no_argument, NULL, 'h' }, NULL, "this" },
	{ { "version", no_argument, NULL, 'V' }, NULL, "the version" },
};

/* Every command takes these. */
static const char common_options[] = "hV";

static bool takes(const struct command *command, int letter)
{
	return letter && (strchr(command->options, letter) || strchr(common_options, letter));
}

static void print_options(const struct command *command)
{
	char *name;
	size_t i;

	puts("\nOptions:");
	for (i = 0; i < ARRAY_SIZE(option_table); i++) {
		if (!takes(command, option_table[i].option.val))
			continue;
		name = text("%s%s%s", option_table[i].option.name, option_table[i].arg ? " " : "",
			    option_table[i].arg ?: "");
		printf("  -%c, --%-18s  %s\n", option_table[i].option.val, name, option_table[i].help);
		free(name);
	}
}

static void print_command_help(const struct command *command)
{
	printf("Usage: karrayctl %s [OPTION...] %s\n\n%s.\n", command->name, command->args,
	       command->help);
	if (strstr(command->args, "DEVICE"))
		puts("A DEVICE is karrayN, one of its nodes, or a link to one (/dev/disk/by-id/...).");
	print_options(command);
	if (command->more_help)
		command->more_help();
}

static void print_help(void)
{
	size_t i;

	puts("Usage: karrayctl [COMMAND] [OPTION...] [ARGUMENT...]\n\n"
	     "Devices made of hot-plugged memory.\n\nCommands:");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-10s  %s\n", commands[i].name, commands[i].help);
	puts("\nkarrayctl COMMAND --help shows what each takes; see also karrayctl(8).");
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static bool size_option(const char *name, uint64_t *value)
{
	if (parse_size(optarg, value))
		return true;
	say("--%s %s: that's no size (1G, 512, 0x1000)", name, optarg);
	return false;
}

/* Stores one option; false if its argument is wrong. */
static bool store_option(struct options *options, int letter)
{
	switch (letter) {
	case 'o':
		options->columns = optarg;
		break;
	case 'O':
		options->all_columns = true;
		break;
	case 'n':
		options->no_headings = true;
		break;
	case 'r':
		options->raw = true;
		break;
	case 'b':
		options->bytes = true;
		break;
	case 'J':
		options->json = true;
		break;
	case 'f':
		options->force = true;
		break;
	case 'N':
		options->dry_run = true;
		break;
	case 'A':
		options->add = optarg;
		break;
	case 'c':
		options->clear = true;
		break;
	case 'u':
		options->udev = true;
		break;
	case 'C':
		options->config = optarg;
		break;
	case 's':
		return size_option("start", &options->offset);
	case 'l':
		return size_option("length", &options->length);
	}
	return true;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct options options = { .length = UINT64_MAX };
	struct option longs[ARRAY_SIZE(option_table) + 1] = { 0 };
	char shorts[3 * ARRAY_SIZE(option_table) + 1], *at = shorts;
	size_t i, n = 0;
	int letter;

	for (i = 0; i < ARRAY_SIZE(option_table); i++) {
		const struct option *option = &option_table[i].option;

		if (!takes(command, option->val))
			continue;
		longs[n++] = *option;
		*at++ = option->val;
		if (option->has_arg)
			*at++ = ':';
	}
	*at = '\0';

	while ((letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		switch (letter) {
		case 'h':
			print_command_help(command);
			return EXIT_SUCCESS;
		case 'V':
			puts("karrayctl " KARRAY_VERSION);
			return EXIT_SUCCESS;
		case '?':
			/* getopt_long() has said what is wrong. */
			fprintf(stderr, "karrayctl %s --help shows the options\n", command->name);
			return EXIT_USAGE;
		default:
			if (!store_option(&options, letter))
				return EXIT_USAGE;
		}
	}
	if (command == commands && argv[optind] && find_command(argv[optind])) {
		say("the command comes first: karrayctl %s ...", argv[optind]);
		return EXIT_USAGE;
	}
	return command->run(&options, argv + optind);
}

/* What is said must not go to a device that happens to get its descriptor. */
static void open_standard_files(void)
{
	int fd;

	for (fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd)
			exit(EXIT_FAILURE);
}

static int run_arguments(int argc, char **argv)
{
	static char *const list[] = { "karrayctl", NULL };
	const struct command *command;

	if (argc < 2)
		return run(commands, 1, (char **)list);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		command = argc > 2 ? find_command(argv[2]) : NULL;
		if (command)
			print_command_help(command);
		else
			print_help();
		return EXIT_SUCCESS;
	}
	if (argv[1][0] == '-')
		return run(commands, argc, argv);
	command = find_command(argv[1]);
	if (!command) {
		say("there is no command '%s'; karrayctl --help shows all", argv[1]);
		return EXIT_USAGE;
	}
	argv[1] = argv[0];
	return run(command, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	int status;

	open_standard_files();
	status = run_arguments(argc, argv);
	if (fflush(stdout) || ferror(stdout)) {
		say("cannot write all of it");
		status = status ?: EXIT_FAILURE;
	}
	return status;
}
