// A program whose stacks have known names.
//
// It asks for the process group of process 77777 from a chain of functions with names of C, C++
// and Rust, the last of which has another one inlined. Then it does so from code that it
// generates (for process 77778), whose name it writes to /tmp/perf-PID.map. With an argument it
// goes on for that many milliseconds.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static inline __attribute__((always_inline)) void inlined_function(void)
{
	long result;
	__asm__ volatile("syscall\n\tnop" : "=a"(result) : "a"(121L), "D"(77777L) : "rcx", "r11", "memory");
}

// A function that calls none keeps no frame.
__attribute__((noinline)) void nothing(void)
{
	__asm__ volatile("");
}

__attribute__((noinline)) void c_function(void)
{
	inlined_function();
	nothing();
}

void cpp_function(void) __asm__("_ZN5space8functionEiPKc");
void rust_function(void) __asm__("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE");

__attribute__((noinline)) void cpp_function(void)
{
	c_function();
	__asm__ volatile("");
}

__attribute__((noinline)) void rust_function(void)
{
	cpp_function();
	__asm__ volatile("");
}

static const unsigned char generated[] = {
	0x55,                         // push %rbp
	0x48, 0x89, 0xe5,             // mov %rsp, %rbp
	0xb8, 0x79, 0x00, 0x00, 0x00, // mov $121, %eax
	0xbf, 0xd2, 0x2f, 0x01, 0x00, // mov $77778, %edi
	0x0f, 0x05,                   // syscall
	0x5d,                         // pop %rbp
	0xc3,                         // ret
};

static char map_path[64];

__attribute__((noinline)) void generate(void)
{
	void *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (code == MAP_FAILED)
		exit(1);
	memcpy(code, generated, sizeof(generated));
	snprintf(map_path, sizeof(map_path), "/tmp/perf-%d.map", getpid());
	FILE *map = fopen(map_path, "w");
	if (!map)
		exit(1);
	fprintf(map, "%lx %zx generated function\n", (unsigned long)code, sizeof(generated));
	fclose(map);
	((void (*)(void))code)();
	nothing();
}

int main(int argc, char **argv)
{
	// An address that a tracer can see.
	if (write(-1, (void *)c_function, 0) >= 0)
		return 1;
	rust_function();
	generate();
	if (argc > 1)
		usleep(1000 * (unsigned int)atoi(argv[1]));
	unlink(map_path);
	return 0;
}
