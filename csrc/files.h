/* The batches of small files, for C sources: the interface and what it needs to stand. */
#ifndef TWF_FILES_H
#define TWF_FILES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "files_api.h"

#endif
