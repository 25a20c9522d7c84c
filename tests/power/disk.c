/* Writes down what a process does to the files of one folder: LD_PRELOAD it, and name the folder in DISK_FOLDER and the
   record in DISK_TRACE. For tests only. A line for each call, in the order in which they return; a write is followed
   by its bytes:

     create INODE NAME   write INODE OFFSET LENGTH   truncate INODE LENGTH   sync INODE   unlink NAME   folder

   `folder` is a sync of the folder itself. Files in shared memory (-shm) are no part of a disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FDS = 1024 };
static unsigned long inodes[FDS];
static char folders[FDS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static FILE *trace(void) {
  static FILE *file;
  if (!file) {
    file = fopen(getenv("DISK_TRACE"), "ae");
    setvbuf(file, 0, _IOFBF, 1 << 16);
  }
  return file;
}

/* The name of a file in the folder, if that is what the path says. */
static const char *inside(const char *path) {
  const char *folder = getenv("DISK_FOLDER");
  size_t n = folder ? strlen(folder) : 0;
  if (!n || !path || strncmp(path, folder, n) || path[n] != '/') return 0;
  size_t length = strlen(path);
  return length > 4 && !strcmp(path + length - 4, "-shm") ? 0 : path + n + 1;
}

static unsigned long ours(int fd) { return fd >= 0 && fd < FDS ? inodes[fd] : 0; }

static int opened(int fd, const char *path, int existed) {
  const char *folder = getenv("DISK_FOLDER"), *name = inside(path);
  struct stat at;
  if (fd < 0 || fd >= FDS || !folder) return fd;
  folders[fd] = !strcmp(path, folder);
  if (!name || fstat(fd, &at)) return fd;
  inodes[fd] = at.st_ino;
  if (!existed) {
    pthread_mutex_lock(&lock);
    fprintf(trace(), "create %lu %s\n", inodes[fd], name);
    pthread_mutex_unlock(&lock);
  }
  return fd;
}

#define OPEN(name)                                                 \
  int name(const char *path, int flags, ...) {                     \
    va_list rest;                                                  \
    va_start(rest, flags);                                         \
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;      \
    va_end(rest);                                                  \
    int existed = !access(path, F_OK);                             \
    return opened(REAL(name)(path, flags, mode), path, existed);   \
  }
OPEN(open)
OPEN(open64)

int close(int fd) {
  if (fd >= 0 && fd < FDS) inodes[fd] = 0, folders[fd] = 0;
  return REAL(close)(fd);
}

static void wrote(int fd, const void *bytes, ssize_t length, off_t at) {
  if (!ours(fd) || length <= 0) return;
  pthread_mutex_lock(&lock);
  fprintf(trace(), "write %lu %lld %zd\n", ours(fd), (long long)at, length);
  fwrite(bytes, 1, length, trace());
  fputc('\n', trace());
  pthread_mutex_unlock(&lock);
}

ssize_t write(int fd, const void *bytes, size_t length) {
  off_t at = ours(fd) ? lseek(fd, 0, SEEK_CUR) : 0;
  ssize_t done = REAL(write)(fd, bytes, length);
  wrote(fd, bytes, done, at);
  return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
  ssize_t done = REAL(pwrite)(fd, bytes, length, at);
  wrote(fd, bytes, done, at);
  return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
  ssize_t done = REAL(pwrite64)(fd, bytes, length, at);
  wrote(fd, bytes, done, at);
  return done;
}

static int truncated(int fd, off_t length, int done) {
  if (!done && ours(fd)) {
    pthread_mutex_lock(&lock);
    fprintf(trace(), "truncate %lu %lld\n", ours(fd), (long long)length);
    pthread_mutex_unlock(&lock);
  }
  return done;
}

int ftruncate(int fd, off_t length) { return truncated(fd, length, REAL(ftruncate)(fd, length)); }
int ftruncate64(int fd, off64_t length) { return truncated(fd, length, REAL(ftruncate64)(fd, length)); }

static int synced(int fd, int done) {
  pthread_mutex_lock(&lock);
  if (!done && ours(fd)) fprintf(trace(), "sync %lu\n", ours(fd));
  if (!done && fd >= 0 && fd < FDS && folders[fd]) fputs("folder\n", trace());
  pthread_mutex_unlock(&lock);
  return done;
}

int fsync(int fd) { return synced(fd, REAL(fsync)(fd)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)(fd)); }

int unlink(const char *path) {
  int done = REAL(unlink)(path);
  if (!done && inside(path)) {
    pthread_mutex_lock(&lock);
    fprintf(trace(), "unlink %s\n", inside(path));
    pthread_mutex_unlock(&lock);
  }
  return done;
}
