/* Debian's SyncEvolution 2.0.0 hands lambdas without captures through curl's variadic curl_easy_setopt, which makes them no function
 * pointers, and dies at its first request. This library, preloaded, gives curl functions that call the members meant.
 *
 * Build: cc -shared -fPIC -O1 -o shim.so shim.c -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stddef.h>

#define CURLOPT_WRITEFUNCTION 20011
#define CURLOPT_READFUNCTION 20012

typedef size_t member(void *self, void *buffer, size_t bytes);

static size_t call(const char *name, void *buffer, size_t size, size_t count, void *self) {
    member *found = (member *)dlsym(RTLD_DEFAULT, name);
    return found ? found(self, buffer, size * count) : 0;
}

static size_t write_data(void *buffer, size_t size, size_t count, void *self) {
    return call("_ZN7SyncEvo18CurlTransportAgent9writeDataEPvm", buffer, size, count, self);
}

static size_t read_data(void *buffer, size_t size, size_t count, void *self) {
    return call("_ZN7SyncEvo18CurlTransportAgent8readDataEPvm", buffer, size, count, self);
}

int curl_easy_setopt(void *handle, int option, ...) {
    static int (*real)(void *, int, ...);
    va_list arguments;
    void *argument;

    if (!real)
        real = (int (*)(void *, int, ...))dlsym(RTLD_NEXT, "curl_easy_setopt");
    va_start(arguments, option);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    if (option == CURLOPT_WRITEFUNCTION)
        argument = (void *)write_data;
    if (option == CURLOPT_READFUNCTION)
        argument = (void *)read_data;
    return real(handle, option, argument);
}
