// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin for QEMU's emulator that counts how often each piece of guest code is
 * executed, for profiles of instructions by function.
 *
 * usage: qemu-system-x86_64 -plugin insn_count.so,fifo=PATH
 *
 * Each line written to the FIFO is a command: "reset" zeroes the counts, and a path
 * has them written there, as lines "ADDRESS INSTRUCTIONS TIMES" in hexadecimal and
 * decimal, one for each block of code that was executed. The file appears when it
 * is complete.
 *
 * QEMU counts by itself, in the code that it generates. The counts are not atomic:
 * use it with one CPU.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Version 1 of QEMU's plugin interface, as far as it is used here. */
struct qemu_plugin_tb;
struct qemu_info_t;
enum { QEMU_PLUGIN_INLINE_ADD_U64 };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *ptr,
					      uint64_t imm);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
					   void (*cb)(uint64_t id, struct qemu_plugin_tb *tb));

int qemu_plugin_version = 1;

/* A block of code, which QEMU may translate several times: in a list of its hash. */
struct block {
	uint64_t address;
	uint64_t insns;
	uint64_t times;
	struct block *next;
};

#define BUCKETS	65536

static struct block *blocks[BUCKETS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;	/* guards blocks */
static const char *fifo;

static struct block *find_block(uint64_t address, uint64_t insns)
{
	struct block **bucket = &blocks[(address ^ address >> 16 ^ insns) % BUCKETS];
	struct block *block;

	for (block = *bucket; block; block = block->next)
		if (block->address == address && block->insns == insns)
			return block;
	block = calloc(1, sizeof(*block));
	if (!block)
		abort();
	block->address = address;
	block->insns = insns;
	block->next = *bucket;
	*bucket = block;
	return block;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	struct block *block;

	(void)id;
	pthread_mutex_lock(&lock);
	block = find_block(qemu_plugin_tb_vaddr(tb), qemu_plugin_tb_n_insns(tb));
	pthread_mutex_unlock(&lock);
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &block->times, 1);
}

static void reset(void)
{
	for (int i = 0; i < BUCKETS; i++)
		for (struct block *block = blocks[i]; block; block = block->next)
			block->times = 0;
}

static void dump(const char *path)
{
	char part[PATH_MAX + sizeof(".part")];
	FILE *file;

	snprintf(part, sizeof(part), "%s.part", path);
	file = fopen(part, "w");
	if (!file) {
		fprintf(stderr, "insn_count: %s: %s\n", part, strerror(errno));
		return;
	}
	for (int i = 0; i < BUCKETS; i++)
		for (struct block *block = blocks[i]; block; block = block->next)
			if (block->times)
				fprintf(file, "%" PRIx64 " %" PRIu64 " %" PRIu64 "\n",
					block->address, block->insns, block->times);
	fclose(file);
	rename(part, path);
}

static void *obey(void *unused)
{
	char line[PATH_MAX];
	FILE *commands;

	(void)unused;
	while ((commands = fopen(fifo, "r"))) {
		while (fgets(line, sizeof(line), commands)) {
			line[strcspn(line, "\n")] = '\0';
			pthread_mutex_lock(&lock);
			if (!strcmp(line, "reset"))
				reset();
			else
				dump(line);
			pthread_mutex_unlock(&lock);
		}
		fclose(commands);
	}
	fprintf(stderr, "insn_count: %s: %s\n", fifo, strerror(errno));
	return NULL;
}

int qemu_plugin_install(uint64_t id, const struct qemu_info_t *info, int argc, char **argv);

int qemu_plugin_install(uint64_t id, const struct qemu_info_t *info, int argc, char **argv)
{
	pthread_t thread;

	(void)info;
	if (argc != 1 || strncmp(argv[0], "fifo=", 5)) {
		fprintf(stderr, "insn_count: usage: -plugin insn_count.so,fifo=PATH\n");
		return -1;
	}
	fifo = strdup(argv[0] + 5);
	if (!fifo || pthread_create(&thread, NULL, obey, NULL))
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
