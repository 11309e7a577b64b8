/* Makes one write or sync of the store fail, as a dying disk does.
 *
 * Counts the calls that write to or sync a file whose path ends with FUUFFY_FAULT_SUFFIX. Counting starts
 * when the file FUUFFY_FAULT_AT appears; the call whose number it holds fails with EIO, and the file
 * FUUFFY_FAULT_AT.fired is made.
 *
 * While the file FUUFFY_FAULT_AT.full exists, the disk is full: after as many writes as it says, none succeeds
 * that is to a file of the store, until the reserved space is given back, which none but that is there for.
 *
 * While the file FUUFFY_FAULT_AT.unread exists, no read of a file of the store succeeds. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static __thread int inside;
static long left = -1;
static long room = -1;

static int path_of(int fd, char path[4096]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, 4095);
    if (length <= 0) return 0;
    path[length] = 0;
    return 1;
}

static int is_store(int fd) {
    char path[4096];
    return path_of(fd, path) && strstr(path, "testing.sqlite3") && !strstr(path, ".state") && !strstr(path, "-shm");
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

static int has_no_room(int fd) {
    char path[4096], full[4096], *folder;
    const char *at = getenv("FUUFFY_FAULT_AT");
    if (inside || !at || !path_of(fd, path)) return 0;
    int is_reserve = strstr(path, "testing.reserve") != 0;
    if (!is_reserve && !strstr(path, "testing.audit-checkpoints") && !is_store(fd)) return 0;
    inside = 1;
    snprintf(full, sizeof full, "%s.full", at);
    FILE *file = fopen(full, "r");
    int fails = 0;
    if (!file) {
        room = -1;
    } else {
        if (room < 0 && fscanf(file, "%ld", &room) != 1) room = 0;
        fclose(file);
        struct stat reserve;
        folder = strrchr(path, '/');
        if (folder) strcpy(folder, "/testing.reserve");
        int is_given_back = stat(path, &reserve) == 0 && reserve.st_size == 0;
        if (is_reserve) fails = 1;
        else if (room > 0) room--;
        else fails = !is_given_back;
    }
    inside = 0;
    if (fails) errno = ENOSPC;
    return fails;
}

static int is_unread(int fd) {
    char unread[4096];
    const char *at = getenv("FUUFFY_FAULT_AT");
    if (inside || !at || !is_store(fd)) return 0;
    inside = 1;
    snprintf(unread, sizeof unread, "%s.unread", at);
    int fails = access(unread, F_OK) == 0;
    inside = 0;
    if (fails) errno = EIO;
    return fails;
}

#define NEXT(name) static __typeof__(&name) next; if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *bytes, size_t count) { NEXT(write); return has_no_room(fd) || must_fail(fd) ? -1 : next(fd, bytes, count); }
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { NEXT(pwrite); return has_no_room(fd) || must_fail(fd) ? -1 : next(fd, bytes, count, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) { NEXT(pwrite64); return has_no_room(fd) || must_fail(fd) ? -1 : next(fd, bytes, count, at); }
ssize_t read(int fd, void *bytes, size_t count) { NEXT(read); return is_unread(fd) ? -1 : next(fd, bytes, count); }
ssize_t pread(int fd, void *bytes, size_t count, off_t at) { NEXT(pread); return is_unread(fd) ? -1 : next(fd, bytes, count, at); }
ssize_t pread64(int fd, void *bytes, size_t count, off64_t at) { NEXT(pread64); return is_unread(fd) ? -1 : next(fd, bytes, count, at); }
int fsync(int fd) { NEXT(fsync); return must_fail(fd) ? -1 : next(fd); }
int fdatasync(int fd) { NEXT(fdatasync); return must_fail(fd) ? -1 : next(fd); }
int ftruncate(int fd, off_t length) { NEXT(ftruncate); return must_fail(fd) ? -1 : next(fd, length); }
int ftruncate64(int fd, off64_t length) { NEXT(ftruncate64); return must_fail(fd) ? -1 : next(fd, length); }
