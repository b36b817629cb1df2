// Functions with arguments and results of every kind that cases look at.
//
//   calls [ROUNDS [PAUSE_MS]]
//
// Calls all of them, ROUNDS times (1 unless said), pausing in between. With ROUNDS 0, for ever.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEEP __attribute__((noinline, noipa, used))

enum colour { RED, GREEN = 5, BLUE };

struct inner {
	char tag[8];
	short pair[2];
};

struct item {
	int number;
	unsigned flags : 3;
	unsigned kind : 5;
	const char *name;
	struct item *next;
	struct inner inner;
	enum colour colour;
	union {
		long whole;
		char bytes[8];
	};
};

char global_byte = 7;
short global_short = 1234;
int global_int = 100000;
long global_long = 5000000000;
static int counter;

KEEP int add(int a, int b)
{
	return a + b;
}

KEEP int subtract(int a, int b)
{
	return a - b;
}

KEEP long add_many(long a, long b, long c, long d, long e, long f, long g, long h)
{
	return a + b + c + d + e + f + g + h;
}

KEEP size_t length(const char *text)
{
	return strlen(text);
}

KEEP const char *greeting(void)
{
	return "hello";
}

KEEP int item_number(struct item *item, enum colour colour)
{
	counter += colour;
	return item->number;
}

KEEP int narrow(signed char a, unsigned char b, short c, unsigned short d, _Bool e)
{
	return a + b + c + d + e;
}

KEEP int third(int depth)
{
	counter += depth;
	return counter;
}

KEEP int second(int depth)
{
	return third(depth + 1) + 1;
}

KEEP int first(int depth)
{
	return second(depth + 1) + 1;
}

// Named as C++ and Rust compilers name theirs.
KEEP int shape_area(int side) __asm__("_ZN5shape4areaEi");
KEEP int shape_area(int side)
{
	return side * side;
}

KEEP int shape_area_two(int width, int height) __asm__("_ZN5shape4areaEii");
KEEP int shape_area_two(int width, int height)
{
	return width * height;
}

KEEP int shape_scale(int side) __asm__("_ZN5shape5scaleEi");
KEEP int shape_scale(int side)
{
	return side * 10;
}

KEEP int rust_twice(int number) __asm__("_ZN6module5twice17h0123456789abcdefE");
KEEP int rust_twice(int number)
{
	return number * 2;
}

// A function whose end no symbol tells.
__asm__(".text\n.globl sizeless\n.type sizeless, @function\nsizeless:\n\tnop\n\tret\n");
void sizeless(void);

static void round_of_calls(void)
{
	static struct item last = {
		.number = 2, .flags = 1, .kind = 3, .name = "last", .inner = {"in", {7, -8}}, .colour = BLUE, .whole = 66
	};
	static struct item item = {
		.number = 42, .flags = 5, .kind = 17, .name = "item", .next = &last, .inner = {"out", {1, -2}},
		.colour = GREEN, .whole = 65
	};
	volatile int sum = 0;

	sum += add(2, 3);
	sum += subtract(2, 5);
	sum += add_many(1, 2, 3, 4, 5, 6, 7, 8);
	sum += length("a text");
	sum += greeting()[0];
	sum += item_number(&item, GREEN);
	sum += narrow(-1, 200, -300, 60000, 1);
	sum += first(1);
	sum += shape_area(3);
	sum += shape_area_two(3, 4);
	sum += shape_scale(5);
	sum += rust_twice(21);
	sizeless();
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1;
	int pause = argc > 2 ? atoi(argv[2]) : 10;

	for (int done = 0; rounds == 0 || done < rounds; done++) {
		round_of_calls();
		if (rounds != 1)
			usleep(pause * 1000);
	}
	return 0;
}
