/* Kills the process at one step of its work on files, as a power cut does.
 *
 * Counts the calls that make, sync, rename, cut or remove a file; only those of files below FUUFFY_KILL_BELOW
 * count. The call whose number FUUFFY_KILL_AT holds is never made: the process is gone.
 *
 * With FUUFFY_KILL_NETWORK, what is sent and received over TCP counts as well. With FUUFFY_FAIL_WITH, writes count
 * too, and instead of killing, the call and all after it that take room fail with that errno, as on a full disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static long done;

/* Counts one step. Answers whether it fails. */
static int count(void) {
    const char *at = getenv("FUUFFY_KILL_AT"), *with = getenv("FUUFFY_FAIL_WITH");
    if (!at) return 0;
    long number = __sync_add_and_fetch(&done, 1);
    if (with) {
        if (number < atol(at)) return 0;
        errno = atoi(with);
        return 1;
    }
    if (number == atol(at)) kill(getpid(), SIGKILL);
    return 0;
}

static int step(const char *path) {
    const char *below = getenv("FUUFFY_KILL_BELOW");
    return below && path && strstr(path, below) ? count() : 0;
}

static int step_of(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return step(path);
}

static void step_on_network(int fd) {
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    if (!getenv("FUUFFY_KILL_NETWORK") || getpeername(fd, (struct sockaddr *)&peer, &size)) return;
    if (peer.ss_family == AF_INET) count();
}

#define NEXT(name) static __typeof__(&name) next; if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        NEXT(name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = va_arg(rest, mode_t); \
        va_end(rest); \
        return (flags & O_CREAT) && step(path) ? -1 : next(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

int rename(const char *from, const char *to) { NEXT(rename); return step(to) ? -1 : next(from, to); }
/* What gives room back does not fail for want of it. */
int unlink(const char *path) { NEXT(unlink); if (!getenv("FUUFFY_FAIL_WITH")) step(path); return next(path); }
int mkdir(const char *path, mode_t mode) { NEXT(mkdir); return step(path) ? -1 : next(path, mode); }
int rmdir(const char *path) { NEXT(rmdir); if (!getenv("FUUFFY_FAIL_WITH")) step(path); return next(path); }
int fsync(int fd) { NEXT(fsync); return step_of(fd) ? -1 : next(fd); }
int fdatasync(int fd) { NEXT(fdatasync); return step_of(fd) ? -1 : next(fd); }
int ftruncate64(int fd, off64_t length) { NEXT(ftruncate64); return step_of(fd) ? -1 : next(fd, length); }

ssize_t write(int fd, const void *bytes, size_t size) {
    NEXT(write);
    return getenv("FUUFFY_FAIL_WITH") && step_of(fd) ? -1 : next(fd, bytes, size);
}

ssize_t send(int fd, const void *bytes, size_t size, int flags) { NEXT(send); step_on_network(fd); return next(fd, bytes, size, flags); }
ssize_t recv(int fd, void *bytes, size_t size, int flags) { NEXT(recv); step_on_network(fd); return next(fd, bytes, size, flags); }
ssize_t writev(int fd, const struct iovec *pieces, int count) { NEXT(writev); step_on_network(fd); return next(fd, pieces, count); }
