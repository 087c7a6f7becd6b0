// SPDX-License-Identifier: GPL-2.0
/*
 * The smallest user of /dev/karray: one call of each kind, each printed with its
 * result. Exits 0 only if every call did all that it was asked to do.
 *
 * usage: karray_test [DEVICE]
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TEST_REQUEST	42
#define READ_SIZE	32
#define READ_OFFSET	43
#define WRITE_OFFSET	44

/* What a call returned; if that is not what it should, why. */
static bool result(ssize_t got, bool ok)
{
	printf(" = %zd", got);
	if (got < 0)
		printf(" (%s)", strerror(errno));
	putchar('\n');
	return ok;
}

/* Up to the first NUL; what a terminal would not show as it is, as \xNN. */
static void print_escaped(const char *buf, size_t size)
{
	for (size_t i = 0; i < size && buf[i]; i++) {
		unsigned char c = buf[i];

		if (isprint(c) && c != '\\')
			putchar(c);
		else
			printf("\\x%02x", c);
	}
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "/dev/karray";
	static const char message[] = "this is a test message";
	char buf[READ_SIZE] = "";
	bool ok = true;
	ssize_t n;
	int fd;

	printf("open(%s)", path);
	fd = open(path, O_RDWR);
	if (!result(fd, fd >= 0))
		return 1;

	printf("ioctl(fd = %d, request = %d)", fd, TEST_REQUEST);
	n = ioctl(fd, TEST_REQUEST);
	ok &= result(n, n == 0);

	n = pread(fd, buf, sizeof(buf), READ_OFFSET);
	printf("pread(fd = %d, buf = [", fd);
	print_escaped(buf, n > 0 ? n : 0);
	printf("], count = %zu, offset = %d)", sizeof(buf), READ_OFFSET);
	ok &= result(n, n == sizeof(buf));

	printf("pwrite(fd = %d, buf = \"%s\", count = %zu, offset = %d)",
	       fd, message, sizeof(message), WRITE_OFFSET);
	n = pwrite(fd, message, sizeof(message), WRITE_OFFSET);
	ok &= result(n, n == sizeof(message));

	printf("close(fd = %d)", fd);
	n = close(fd);
	ok &= result(n, n == 0);

	return ok ? 0 : 1;
}
