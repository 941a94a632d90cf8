/*
 * Yardstick: near what the machine can do. The hop with a protocol client written by hand: one thread, one blocking socket, no JSON; the
 * transform patches one digit of the payload's copy. Environment: PORT N W DST CONS. Build: cc -O2 -o hop-c hop.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { input_size = 1 << 20, output_size = 4 << 20, slots = 65536, reply_size = 128, most_words = 6 };

static int sock;
static char input[input_size], output[output_size], replies[slots][reply_size];
static size_t input_length, output_length;

static void fail(const char *what, const char *text, int length) {
  fprintf(stderr, "%s: %.*s\n", what, length, text);
  exit(1);
}

static void flush_output(void) {
  for (size_t sent = 0; sent < output_length;) {
    ssize_t written = write(sock, output + sent, output_length - sent);
    if (written <= 0) fail("write", "", 0);
    sent += written;
  }
  output_length = 0;
}

static void put(const char *text, size_t length) {
  if (output_length + length > output_size) flush_output();
  memcpy(output + output_length, text, length);
  output_length += length;
}

static const char *setting(const char *name) {
  const char *value = getenv(name);
  if (!value) fail("not set", name, (int)strlen(name));
  return value;
}

/* $JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>... */
static const char *sequence_of(const char *reply, int *length) {
  const char *at = reply;
  for (int dots = 0; dots < 5; at++) dots += *at == '.';
  *length = (int)(strchr(at, '.') - at);
  return at;
}

static void connect_to(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  int on = 1;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sock = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(sock, (void *)&address, sizeof address)) fail("connect", "", 0);
  setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int main(void) {
  const char *target = setting("DST"), *consumer = setting("CONS");
  const long count = atol(setting("N")), window = atol(setting("W"));
  long received = 0, asked = 0, done = 0;
  char line[512];
  const char *hello =
      "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\"lang\":\"c\"}\r\n"
      "SUB raw.in 1\r\nSUB raw.ack.* 2\r\n";
  connect_to(atoi(setting("PORT")));
  put(hello, strlen(hello));
  while (done < count) {
    if (asked - received <= window / 2 && received < count) {
      long batch = window - (asked - received);
      char body[64];
      int length = snprintf(body, sizeof body, "{\"batch\":%ld,\"expires\":30000000000}", batch);
      put(line, snprintf(line, sizeof line, "PUB $JS.API.CONSUMER.MSG.NEXT.SRC.%s raw.in %d\r\n%s\r\n", consumer, length, body));
      asked += batch;
    }
    flush_output();
    ssize_t fresh = read(sock, input + input_length, input_size - input_length);
    if (fresh <= 0) fail("the server closed the connection", "", 0);
    input_length += fresh;

    size_t at = 0;
    while (at < input_length) {
      char *start = input + at, *end = memchr(start, '\n', input_length - at);
      if (!end) break;
      if (*start != 'M' && *start != 'H') {
        if (start[0] == 'P' && start[1] == 'I') put("PONG\r\n", 6);
        if (*start == '-') fail("the server says", start, (int)(end - start));
        at = end + 1 - input;
        continue;
      }
      /* MSG subject sid [reply] bytes, or HMSG subject sid [reply] headers bytes */
      char *words[most_words];
      int found = 0;
      for (char *word = start; word < end - 1 && found < most_words; found++) {
        words[found] = word;
        while (word < end - 1 && *word != ' ') word++;
        word++;
      }
      int headers = *start == 'H';
      long length = strtol(words[found - 1], NULL, 10), header_length = headers ? strtol(words[found - 2], NULL, 10) : 0;
      char *data = end + 1;
      if (data + length + 2 > input + input_length) break;
      if (words[2][0] == '1' && found == (headers ? 6 : 5)) {
        long slot = received++ & (slots - 1);
        int reply_length = (int)(words[4] - 1 - words[3]), digits;
        memcpy(replies[slot], words[3], reply_length);
        replies[slot][reply_length] = 0;
        const char *sequence = sequence_of(replies[slot], &digits);
        char *body = data + header_length, id[128];
        long body_length = length - header_length;
        char *total = memmem(body, body_length, "\"total\":", 8);
        if (total) total[8] = '9';
        int id_length = snprintf(id, sizeof id, "NATS/1.0\r\nNats-Msg-Id: SRC:%.*s\r\n\r\n", digits, sequence);
        put(line, snprintf(line, sizeof line, "HPUB out.%s raw.ack.%ld %d %ld\r\n%s", target, slot, id_length, id_length + body_length, id));
        put(body, body_length);
        put("\r\n", 2);
      } else if (words[2][0] == '2') {
        if (strncmp(data, "{\"stream\"", 9)) fail("not stored", data, (int)length);
        put(line, snprintf(line, sizeof line, "PUB %s 4\r\n+ACK\r\n", replies[strtol(words[1] + 8, NULL, 10)]));
        done++;
      }
      at = data + length + 2 - input;
    }
    memmove(input, input + at, input_length - at);
    input_length -= at;
  }
  put("PING\r\n", 6);
  flush_output();
  do input_length = read(sock, input, input_size);
  while (input_length > 0 && !memmem(input, input_length, "PONG", 4));
  return 0;
}
