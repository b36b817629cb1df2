// Writes a word at a fixed address: 0x10000000.
//
//   watched [TIMES]
//
// TIMES times (1 unless said), 5 ms apart, having waited 50 ms; then reads it once.

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int times = argc > 1 ? atoi(argv[1]) : 1;
	volatile long *word = mmap((void *)0x10000000, 4096, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (word == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	usleep(50000);
	for (int i = 0; i < times; i++) {
		*word = i;
		usleep(5000);
	}
	return *word == times - 1 ? 0 : 1;
}
