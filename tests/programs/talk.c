/* One TCP connection to itself: listens, connects, sends some bytes each way, closes.
 *
 *   talk [PORT]      over 127.0.0.1; exits 0 when all bytes came through
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in here = {
		.sin_family = AF_INET,
		.sin_port = htons(argc > 1 ? atoi(argv[1]) : 5577),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	char bytes[3000] = { 0 };
	int one = 1;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int caller = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&here, sizeof(here)) || listen(listener, 1))
		return 1;
	if (connect(caller, (struct sockaddr *)&here, sizeof(here)))
		return 2;
	int called = accept(listener, NULL, NULL);
	if (write(caller, bytes, sizeof(bytes)) != sizeof(bytes))
		return 3;
	for (int left = sizeof(bytes); left > 0;) {
		int got = read(called, bytes, left);
		if (got <= 0)
			return 4;
		left -= got;
	}
	close(caller);
	close(called);
	close(listener);
	/* The last states are left by a timer's or the other side's doing. */
	usleep(100000);
	return 0;
}
