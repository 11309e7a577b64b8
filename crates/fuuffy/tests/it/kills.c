/* Kills the process at one step of its work on files, as a power cut does.
 *
 * Counts the calls that make, sync, rename, cut or remove a file; only those of files below FUUFFY_KILL_BELOW
 * count. The call whose number FUUFFY_KILL_AT holds is never made: the process is gone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static long done;

static void step(const char *path) {
    const char *below = getenv("FUUFFY_KILL_BELOW"), *at = getenv("FUUFFY_KILL_AT");
    if (!below || !at || !path || !strstr(path, below)) return;
    if (__sync_add_and_fetch(&done, 1) == atol(at)) kill(getpid(), SIGKILL);
}

static void step_of(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return;
    path[length] = 0;
    step(path);
}

#define NEXT(name) static __typeof__(&name) next; if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        NEXT(name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = va_arg(rest, mode_t); \
        va_end(rest); \
        if (flags & O_CREAT) step(path); \
        return next(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

int rename(const char *from, const char *to) { NEXT(rename); step(to); return next(from, to); }
int unlink(const char *path) { NEXT(unlink); step(path); return next(path); }
int mkdir(const char *path, mode_t mode) { NEXT(mkdir); step(path); return next(path, mode); }
int rmdir(const char *path) { NEXT(rmdir); step(path); return next(path); }
int fsync(int fd) { NEXT(fsync); step_of(fd); return next(fd); }
int fdatasync(int fd) { NEXT(fdatasync); step_of(fd); return next(fd); }
int ftruncate64(int fd, off64_t length) { NEXT(ftruncate64); step_of(fd); return next(fd, length); }
