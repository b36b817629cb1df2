// A load of system calls that costs the same every time, so that what a tracer adds can be seen.
//
//   calls CPU CALLS BURSTS [THREADS [RATE]]
//
// Makes BURSTS bursts of CALLS getppid calls on each of THREADS threads (1 unless given), and
// prints for each burst the CPU time of one call in nanoseconds. The threads are pinned to CPU
// and those below it; -1 leaves them free. With the right to, they run under SCHED_FIFO, so that
// nothing else gets the core in the middle of a burst. With a RATE each thread pauses between
// bursts so as to make that many calls a second, and nothing is printed. CPU time, not wall time: what the machine
// does besides must not count.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MAX_THREADS = 256 };

static int first_cpu;
static long calls, bursts;
static double rate;

static double cpu_time_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1e9 + now.tv_nsec;
}

// Sleeps until the calls made so far since `begun` are due at the rate.
static void pace(const struct timespec *begun, double made)
{
	struct timespec due = *begun;
	double ahead = made / rate;

	due.tv_sec += (time_t)ahead;
	due.tv_nsec += (long)((ahead - (double)(time_t)ahead) * 1e9);
	if (due.tv_nsec >= 1000000000) {
		due.tv_sec++;
		due.tv_nsec -= 1000000000;
	}
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static void settle(int cpu)
{
	struct sched_param first = { .sched_priority = 1 };
	cpu_set_t only;

	if (cpu < 0)
		return;
	CPU_ZERO(&only);
	CPU_SET(cpu, &only);
	sched_setaffinity(0, sizeof only, &only);
	sched_setscheduler(0, SCHED_FIFO, &first);
}

static void *work(void *number)
{
	struct timespec start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	settle(first_cpu < 0 ? -1 : first_cpu - (int)(long)number);
	for (long burst = 0; burst < bursts; burst++) {
		double begun = cpu_time_ns();

		for (long call = 0; call < calls; call++)
			syscall(SYS_getppid);
		if (rate > 0)
			pace(&start, (double)(burst + 1) * calls);
		else
			printf("%.2f\n", (cpu_time_ns() - begun) / calls);
	}
	return NULL;
}

int main(int count, char **argument)
{
	pthread_t thread[MAX_THREADS];
	long threads;

	if (count < 4)
		return 2;
	first_cpu = atoi(argument[1]);
	calls = atol(argument[2]);
	bursts = atol(argument[3]);
	threads = count > 4 ? atol(argument[4]) : 1;
	rate = count > 5 ? atof(argument[5]) : 0;
	if (calls < 1 || threads < 1 || threads > MAX_THREADS)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (long number = 0; number < threads; number++)
		if (pthread_create(&thread[number], NULL, work, (void *)number))
			return 1;
	for (long number = 0; number < threads; number++)
		pthread_join(thread[number], NULL);
	return 0;
}
