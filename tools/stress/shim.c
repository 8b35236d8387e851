/* Preloaded: files under a folder fail after so many bytes, and the clock jumps. Says nothing else. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { NOTHING, READING, WRITING };

static int failing = NOTHING, error_number;
static long bytes_left;
static char folder[PATH_MAX];
static time_t jump;

void stress_fail(int what, int number, long after, const char *under)
{
    snprintf(folder, sizeof folder, "%s", under);
    error_number = number;
    bytes_left = after;
    failing = what;
}

void stress_jump(long seconds) { jump = seconds; }

/* Return how many of some bytes pass; -1 if none does, and errno is set. */
static ssize_t pass(int what, int fd, size_t count)
{
    char link[64], path[PATH_MAX];
    ssize_t length;
    if (what != failing || count == 0)
        return count;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return count;
    path[length] = 0;
    if (strncmp(path, folder, strlen(folder)) != 0)
        return count;
    if (bytes_left <= 0) {
        errno = error_number;
        return -1;
    }
    if ((size_t)bytes_left < count)
        count = bytes_left;
    bytes_left -= count;
    return count;
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name)
#define LIMITED(what, name, ...)                                                                  \
    REAL(name);                                                                                   \
    ssize_t most = pass(what, fd, count);                                                         \
    return most < 0 ? -1 : real(fd, data, most __VA_ARGS__)

ssize_t read(int fd, void *data, size_t count) { LIMITED(READING, read, ); }
ssize_t write(int fd, const void *data, size_t count) { LIMITED(WRITING, write, ); }
ssize_t pread64(int fd, void *data, size_t count, off64_t at)
{ LIMITED(READING, pread64, , at); }
ssize_t pwrite64(int fd, const void *data, size_t count, off64_t at)
{ LIMITED(WRITING, pwrite64, , at); }

int clock_gettime(clockid_t clock, struct timespec *now)
{
    REAL(clock_gettime);
    int result = real(clock, now);
    if (result == 0 && clock == CLOCK_REALTIME)
        now->tv_sec += jump;
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    REAL(gettimeofday);
    int result = real(now, zone);
    if (result == 0)
        now->tv_sec += jump;
    return result;
}

time_t time(time_t *now)
{
    REAL(time);
    time_t result = real(NULL) + jump;
    if (now)
        *now = result;
    return result;
}
