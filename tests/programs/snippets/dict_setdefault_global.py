import torch
counter = 0
def bump():
    global counter
    counter += 1
    return counter
bump(); bump()
print(counter)
def outer():
    n = 0
    def inner():
        nonlocal n
        n += 1
        return n
    inner()
    return inner()
print(outer())
d = {}
d.setdefault("a", []).append(1)
d.update({"b": 2})
print(d, "a" in d, list(d))
