/* Allocates from two places and gives back from one: what stays is keep()'s.
 *
 *   leak      waits for SIGUSR1 or a second, then allocates, then waits a second
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static void *kept[10];

__attribute__((noinline)) void *allocate(unsigned long bytes)
{
	return malloc(bytes);
}

__attribute__((noinline)) void keep(void)
{
	for (int i = 0; i < 10; i++)
		kept[i] = allocate(100);
}

__attribute__((noinline)) void give_back(void)
{
	for (int i = 0; i < 10; i++)
		free(allocate(50));
}

static void go(int signal)
{
	(void)signal;
}

int main(void)
{
	signal(SIGUSR1, go);
	sleep(5);
	keep();
	give_back();
	sleep(1);
	return kept[9] == 0;
}
