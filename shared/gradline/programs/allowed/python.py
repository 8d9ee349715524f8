# ruff: noqa: E501  a row of a table is easier to read on one line
"""Functions of Python itself, of its modules, and of numpy."""

BUILTINS = """
print = sep end flush
id type len abs float int bool str repr list tuple reversed range isinstance set object iter next filter callable =
dict = *
zip = strict
sum = start
max min = key default
sorted = key reverse
round = ndigits
enumerate = start
pow any all map divmod =
"""

PYTHON = """
random.seed random.random random.randint random.uniform random.gauss random.shuffle random.choice random.sample random.randrange = k
time.time time.perf_counter time.monotonic time.process_time =
copy.deepcopy copy.copy =
functools.partial = *
functools.reduce =
collections.OrderedDict collections.defaultdict = *
dataclasses.dataclass =
tqdm.tqdm tqdm.trange = desc total leave disable ncols unit
"""

MATH = "exp expm1 log log2 log10 log1p sqrt sin cos tan asin acos atan atan2 sinh cosh tanh floor ceil trunc fabs isnan isinf isfinite isclose hypot erf gamma lgamma degrees radians copysign fmod pow fsum"

NUMPY = """
array asarray = object dtype
zeros ones full eye identity = shape fill_value dtype N M
zeros_like ones_like full_like = a fill_value dtype
arange linspace logspace = start stop num step dtype endpoint
exp expm1 log log1p log2 log10 sqrt square abs absolute sin cos tan arcsin arccos arctan sinh cosh tanh sign floor ceil rint round isnan isinf isfinite negative reciprocal = decimals dtype out
add subtract multiply divide power maximum minimum mod arctan2 hypot greater less equal logical_and logical_or logical_not = dtype out
sum mean prod std var max min amax amin argmax argmin all any median cumsum = a axis keepdims dtype ddof
dot matmul outer inner vdot cross =
clip = a a_min a_max min max
where =
reshape ravel squeeze transpose expand_dims flip = a axis newshape shape axes
concatenate stack vstack hstack = arrays axis
allclose array_equal isclose = rtol atol
diag trace tril triu = k
unique sort argsort = axis
argwhere nonzero =
copy = a
random.seed = seed
random.rand random.randn =
random.random random.standard_normal random.random_sample = size
random.normal random.uniform = loc scale low high size
random.randint random.choice = low high size a replace p
random.shuffle random.permutation = x
random.default_rng = seed
linalg.norm linalg.inv linalg.det linalg.solve linalg.eigvalsh = ord axis
set_printoptions = precision suppress threshold linewidth
"""
