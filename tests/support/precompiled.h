// The same for the tests, in its place.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/precompiled.h"
