/* Makes one write or sync of the store fail, as a dying disk does.
 *
 * Counts the calls that write to or sync a file whose path ends with FUUFFY_FAULT_SUFFIX. Counting starts
 * when the file FUUFFY_FAULT_AT appears; the call whose number it holds fails with EIO, and the file
 * FUUFFY_FAULT_AT.fired is made. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static __thread int inside;
static long left = -1;

static int is_store(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return strstr(path, "testing.sqlite3") && !strstr(path, ".state") && !strstr(path, "-shm");
}

static int must_fail(int fd) {
    const char *at = getenv("FUUFFY_FAULT_AT");
    if (inside || !at || !is_store(fd)) return 0;
    inside = 1;
    if (left < 0) {
        FILE *file = fopen(at, "r");
        if (file) {
            if (fscanf(file, "%ld", &left) != 1) left = -1;
            fclose(file);
        }
    }
    int fails = 0;
    if (left > 0 && --left == 0) {
        char fired[4096];
        snprintf(fired, sizeof fired, "%s.fired", at);
        int made = open(fired, O_CREAT | O_WRONLY, 0600);
        if (made >= 0) close(made);
        fails = 1;
    }
    inside = 0;
    if (fails) errno = EIO;
    return fails;
}

#define NEXT(name) static __typeof__(&name) next; if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *bytes, size_t count) { NEXT(write); return must_fail(fd) ? -1 : next(fd, bytes, count); }
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { NEXT(pwrite); return must_fail(fd) ? -1 : next(fd, bytes, count, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) { NEXT(pwrite64); return must_fail(fd) ? -1 : next(fd, bytes, count, at); }
int fsync(int fd) { NEXT(fsync); return must_fail(fd) ? -1 : next(fd); }
int fdatasync(int fd) { NEXT(fdatasync); return must_fail(fd) ? -1 : next(fd); }
int ftruncate(int fd, off_t length) { NEXT(ftruncate); return must_fail(fd) ? -1 : next(fd, length); }
int ftruncate64(int fd, off64_t length) { NEXT(ftruncate64); return must_fail(fd) ? -1 : next(fd, length); }
