"""Functions that workers of the tests run."""

import os

import torch


def threads_of_worker(shared):
    return torch.get_num_threads()


def worker_setting(name):
    return os.environ.get(name)
