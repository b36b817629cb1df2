/* TCP connections over 127.0.0.1 that do not come about.
 *
 *   knock closed PORT    connects to a port that nobody listens at: the kernel drops the packet
 *   knock full PORT      connects more often than a listener takes: after a second the kernel
 *                        sends the last packets again
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int tcp(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

int main(int argc, char **argv)
{
	struct sockaddr_in there = {
		.sin_family = AF_INET,
		.sin_port = htons(argc > 2 ? atoi(argv[2]) : 1),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int one = 1;
	if (argc > 1 && strcmp(argv[1], "full") == 0) {
		int listener = tcp();
		setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
		if (bind(listener, (struct sockaddr *)&there, sizeof there) || listen(listener, 0))
			return 1;
		for (int i = 0; i < 4; i++) {
			int client = tcp();
			fcntl(client, F_SETFL, O_NONBLOCK);
			connect(client, (struct sockaddr *)&there, sizeof there);
		}
		usleep(1700000);
		return 0;
	}
	return connect(tcp(), (struct sockaddr *)&there, sizeof there) == 0;
}
