/* A clock that is off: LD_PRELOAD it, and say by how many seconds in CLOCK_OFF. For tests only. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long off(void) {
  const char *text = getenv("CLOCK_OFF");
  return text ? strtol(text, 0, 10) : 0;
}

int clock_gettime(clockid_t id, struct timespec *t) {
  int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
  int done = real(id, t);
  if (done == 0 && id == CLOCK_REALTIME) t->tv_sec += off();
  return done;
}

int gettimeofday(struct timeval *t, void *zone) {
  int (*real)(struct timeval *, void *) = dlsym(RTLD_NEXT, "gettimeofday");
  int done = real(t, zone);
  if (done == 0 && t) t->tv_sec += off();
  return done;
}

time_t time(time_t *out) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  if (out) *out = t.tv_sec;
  return t.tv_sec;
}
