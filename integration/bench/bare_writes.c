/* The limit of any fan-out from one thread: a loop of write(2) over as many sockets, and nothing else.
 *
 * `bare_writes FRAME_BYTES` replies with its "port". Told {"accept": n} it takes in that many clients, told
 * {"write": n} it writes n frames' worth of bytes to each client in one call. Which bytes they are, is all the same to
 * the kernel, and the clients only count them. bare_writes.py does the same in Python.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024, REQUEST_BYTES = 4096, LINE_BYTES = 256 };

/* The clients trust the answer: no key is looked at. */
static const char upgraded[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int listening(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) || listen(listener, BACKLOG) ||
        getsockname(listener, (struct sockaddr *)&address, &length))
        fail("listen");
    printf("{\"port\": %d}\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static int accepted(int listener) {
    char request[REQUEST_BYTES];
    int client = accept(listener, NULL, NULL), on = 1;
    /* As asyncio sets it: with Nagle's algorithm small writes would wait for each other. */
    if (client < 0 || setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) ||
        read(client, request, sizeof request) <= 0 ||
        write(client, upgraded, sizeof upgraded - 1) != sizeof upgraded - 1)
        fail("accept");
    return client;
}

int main(int count, char **arguments) {
    size_t frame = count == 2 ? strtoul(arguments[1], NULL, 10) : 0, posts;
    int listener = listening(), *clients = NULL;
    size_t connected = 0, more;
    char line[LINE_BYTES];

    /* Standard input is our life: we end when it does. */
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "{\"accept\": %zu}", &more) == 1) {
            clients = realloc(clients, (connected + more) * sizeof *clients);
            while (clients && more--)
                clients[connected++] = accepted(listener);
        } else if (sscanf(line, "{\"write\": %zu}", &posts) == 1) {
            char *data = calloc(posts, frame);
            for (size_t each = 0; data && each < connected; each++)
                if (write(clients[each], data, posts * frame) != (ssize_t)(posts * frame))
                    fail("write");
            free(data);
        }
        puts("{}");
        fflush(stdout);
    }
    return 0;
}
