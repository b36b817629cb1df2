// Runs a program once and says what the run took.
//
//   launch ROOT SIGNAL TEXT PROGRAM [ARGUMENT...]
//
// Starts PROGRAM with ROOT as its root folder ("/" for none of its own), reads its stdout and
// stderr together, and notes when TEXT first appears in them. SIGNAL, if not 0, is then sent.
// Prints one line: milliseconds from the start to TEXT (-1 if it never came), to the end, of CPU
// time; peak memory in KiB; exit status. A run of more than a minute is killed.
//
// A program of its own, and a small one, because the kernel counts the memory of the process
// that starts a program towards that program's peak.
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

static const double LIMIT_MS = 60e3;

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static double in_ms(struct timeval time)
{
	return time.tv_sec * 1e3 + time.tv_usec / 1e3;
}

static void become(const char *root, int output, char **program)
{
	int nothing;

	if (strcmp(root, "/") && (chroot(root) || chdir("/")))
		_exit(126);
	nothing = open("/dev/null", O_RDONLY);
	dup2(nothing, 0);
	dup2(output, 1);
	dup2(output, 2);
	execvp(program[0], program);
	_exit(127);
}

int main(int count, char **argument)
{
	// The text may come in two pieces, so the last of what was read is kept.
	static char seen[1 << 16];
	size_t kept = 0;
	double begun, marked = -1;
	int ends[2], killed = 0, status;
	struct rusage used;
	pid_t child;

	if (count < 5 || pipe2(ends, O_CLOEXEC))
		return 2;
	begun = now_ms();
	child = fork();
	if (child < 0)
		return 2;
	if (!child)
		become(argument[1], ends[1], argument + 4);
	close(ends[1]);
	for (;;) {
		struct pollfd output = { .fd = ends[0], .events = POLLIN };
		ssize_t got;

		if (!killed && now_ms() - begun > LIMIT_MS) {
			kill(child, SIGKILL);
			killed = 1;
		}
		if (poll(&output, 1, 100) <= 0)
			continue;
		if (kept > sizeof seen / 2) {
			memmove(seen, seen + kept - 256, 256);
			kept = 256;
		}
		got = read(ends[0], seen + kept, sizeof seen - 1 - kept);
		if (got <= 0)
			break;
		kept += got;
		if (marked < 0 && memmem(seen, kept, argument[3], strlen(argument[3]))) {
			marked = now_ms() - begun;
			if (atoi(argument[2]))
				kill(child, atoi(argument[2]));
		}
	}
	if (wait4(child, &status, 0, &used) != child)
		return 2;
	printf("%.3f %.3f %.3f %ld %d\n", marked, now_ms() - begun, in_ms(used.ru_utime) + in_ms(used.ru_stime),
	       used.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}
