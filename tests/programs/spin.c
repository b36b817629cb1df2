/* Uses the processor for some tenths of a second: in inner(), which middle() calls for outer(),
 * and in a system call that once() makes for ask(). A function that calls nothing may have no
 * frame of its own, so that its caller is missed by a walk along frame pointers.
 */
#include <unistd.h>

static volatile long sink;

__attribute__((noinline)) void inner(long rounds)
{
	for (long i = 0; i < rounds; i++)
		sink += i;
}

__attribute__((noinline)) void middle(void)
{
	inner(1000000);
	sink++;
}

__attribute__((noinline)) void outer(void)
{
	for (int i = 0; i < 300; i++)
		middle();
	sink++;
}

__attribute__((noinline)) void once(void)
{
	getppid();
	sink++;
}

__attribute__((noinline)) void ask(void)
{
	for (int i = 0; i < 2000000; i++)
		once();
	sink++;
}

int main(void)
{
	outer();
	ask();
	return 0;
}
