// Markers (USDT probes) with arguments of every form, one of them with a semaphore.
//
//   marks [ROUNDS [PAUSE_MS]]
//
// Passes all of them, ROUNDS times (1 unless said), pausing in between. With ROUNDS 0, for ever.

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define KEEP __attribute__((noinline, noipa, used))

// A note as <sys/sdt.h> makes them: address, base, semaphore, provider, name, arguments.
#define MARK(provider, name, semaphore, arguments, ...)                                        \
	__asm__ volatile("990: nop\n"                                                          \
			 ".pushsection .note.stapsdt, \"\", \"note\"\n"                            \
			 ".balign 4\n"                                                         \
			 ".4byte 992f-991f, 994f-993f, 3\n"                                    \
			 "991: .asciz \"stapsdt\"\n"                                           \
			 "992: .balign 4\n"                                                    \
			 "993: .8byte 990b\n"                                                  \
			 ".8byte _.stapsdt.base\n"                                             \
			 ".8byte " semaphore "\n"                                              \
			 ".asciz \"" provider "\"\n"                                           \
			 ".asciz \"" name "\"\n"                                               \
			 ".asciz \"" arguments "\"\n"                                          \
			 "994: .balign 4\n"                                                    \
			 ".popsection\n"                                                       \
			 ".ifndef _.stapsdt.base\n"                                            \
			 ".pushsection .stapsdt.base, \"aG\", \"progbits\", .stapsdt.base, comdat\n" \
			 ".weak _.stapsdt.base\n"                                              \
			 ".hidden _.stapsdt.base\n"                                            \
			 "_.stapsdt.base: .space 1\n"                                          \
			 ".size _.stapsdt.base, 1\n"                                           \
			 ".popsection\n"                                                       \
			 ".endif\n" ::__VA_ARGS__)

// Where listeners are counted.
__attribute__((section(".probes"), used)) volatile unsigned short watched_semaphore;

long numbers[4] = {10, 20, 30, 40};
int relative = 77;

KEEP void registers(int a, long b, short c, signed char d)
{
	MARK("app", "registers", "0", "-4@%%edi 8@%%rsi -2@%%dx -1@%%cl", "D"(a), "S"(b), "d"((long)c), "c"((long)d));
}

KEEP void constants(void)
{
	MARK("app", "constants", "0", "-4@$-5 8@$6 1@$255");
}

KEEP void memory(long *from, long index)
{
	long local[2] = {101, -102};

	MARK("app", "memory", "0", "8@8(%%rdi) -8@(%%rdi,%%rsi,8) -8@8(%%rax) 4@relative(%%rip)", "D"(from), "S"(index), "a"(local), "m"(local));
}

KEEP void text(const char *text)
{
	MARK("app", "text", "0", "8@%%rdi", "D"(text));
}

// One marker in two places, its argument in another register in each.
KEEP void twice(int a)
{
	MARK("app", "twice", "0", "-4@%%edi", "D"(a));
	MARK("app", "twice", "0", "-4@%%esi", "S"(a + 1));
}

KEEP void other(void)
{
	MARK("other", "text", "0", "");
}

KEEP void watched(void)
{
	if (watched_semaphore)
		MARK("app", "watched", "watched_semaphore", "-4@%%edi", "D"((int)watched_semaphore));
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1;
	int pause = argc > 2 ? atoi(argv[2]) : 10;

	for (int done = 0; rounds == 0 || done < rounds; done++) {
		registers(-1, 1L << 40, -3, -4);
		constants();
		memory(numbers, 2);
		text("a mark");
		twice(7);
		other();
		watched();
		if (rounds != 1)
			usleep(pause * 1000);
	}
	return 0;
}
