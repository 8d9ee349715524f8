# ruff: noqa: E501  a program, or a row of a table, is easier to read on one line
"""The one table of what a program may use. What is not written here cannot be named, let alone run.

A line of a block is `name name ... = keyword keyword ...`: the names, and the keyword arguments they take.
The worker looks every entry up in torch once, by these names, never by a name out of a program.
"""

from typing import Final


def _read(block: str, prefix: str = "") -> dict[str, frozenset[str]]:
    entries: dict[str, frozenset[str]] = {}
    for line in block.strip().splitlines():
        names, _, keywords = line.partition("=")
        entries.update({prefix + name: frozenset(keywords.split()) for name in names.split()})
    return entries


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BUILTINS = """
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

_TORCH = """
tensor = data dtype device requires_grad
as_tensor = data dtype device
zeros ones = size dtype device requires_grad
rand randn = size dtype device requires_grad generator
full = size fill_value dtype device requires_grad
eye = n m dtype device requires_grad
arange linspace logspace = start end step steps base dtype device requires_grad
randint = low high size dtype device requires_grad generator
randperm = n dtype device generator
complex polar view_as_real = real imag abs angle input
zeros_like ones_like rand_like randn_like full_like = input fill_value dtype device requires_grad
normal = mean std size generator dtype device requires_grad
bernoulli = input p generator
multinomial = input num_samples replacement generator
manual_seed = seed
initial_seed =
Generator = device
abs neg negative exp exp2 log log2 log10 log1p expm1 sqrt rsqrt square sin cos tan asin acos atan arcsin arccos arctan = input
sinh cosh tanh asinh acosh atanh sigmoid relu reciprocal sign floor ceil trunc frac erf erfc lgamma digamma = input
selu logit deg2rad rad2deg sinc signbit sgn angle real imag conj positive absolute = input
abs_ neg_ exp_ log_ sqrt_ sin_ cos_ tan_ tanh_ sigmoid_ relu_ square_ reciprocal_ floor_ ceil_ round_ rsqrt_ zero_ = input
round = input decimals
add sub subtract = input other alpha out
mul multiply dot vdot matmul mm mv bmm outer ger inner maximum minimum fmax fmin = input other vec2 mat2 vec tensor out
div divide true_divide = input other rounding_mode out
floor_divide fmod remainder atan2 arctan2 hypot logaddexp lerp kron = input other end weight
pow = input exponent out
cross = input other dim
addmm addmv addbmm baddbmm addr = input mat1 mat2 mat vec beta alpha
addcmul addcdiv = input tensor1 tensor2 value
eq ne lt le gt ge logical_and logical_or logical_not logical_xor = input other
isclose allclose = input other rtol atol equal_nan
equal isnan isinf isfinite is_tensor is_grad_enabled numel = input obj
nan_to_num = input nan posinf neginf
sum mean prod nansum nanmean all any median nanmedian logsumexp count_nonzero = input dim axis keepdim keepdims dtype
max min amax amin argmax argmin aminmax = input dim axis keepdim keepdims other
std var std_mean var_mean = input dim axis keepdim keepdims unbiased correction
norm = input p dim keepdim
quantile = input q dim keepdim
mode kthvalue = input k dim keepdim
cumsum cumprod logcumsumexp cummax cummin diff = input dim n
trapz trapezoid = y x dx dim
cov corrcoef =
histc = input bins min max
bucketize searchsorted = input boundaries right sorted_sequence
softmax log_softmax = input dim dtype
sort argsort = input dim descending stable
topk = input k dim largest sorted
unique = input sorted return_inverse return_counts dim
bincount = input weights minlength
clamp clip = input min max
where = condition input other
reshape = input shape
transpose swapaxes = input dim0 dim1 axis0 axis1
permute = input dims
t squeeze unsqueeze flatten ravel movedim moveaxis swapdims unbind unflatten atleast_1d atleast_2d = input dim start_dim end_dim source destination sizes
cat concat concatenate stack = tensors dim axis
block_diag cartesian_prod combinations =
hstack vstack dstack column_stack row_stack = tensors
split chunk tensor_split = tensor input split_size_or_sections chunks dim
narrow = input dim start length
index_select = input dim index
gather take take_along_dim = input dim index indices
scatter scatter_add index_add index_fill = input dim index src source value
masked_select = input mask
masked_fill = input mask value
nonzero argwhere = input as_tuple
flip roll rot90 = input dims shifts k
tile = input dims
repeat_interleave = input repeats dim
broadcast_to = input size shape
broadcast_tensors meshgrid = indexing
tril triu diag = input diagonal
diagonal = input offset dim1 dim2
diag_embed trace clone detach = input
einsum tensordot = equation operands a b dims
cdist = x1 x2 p
dist = input other p
vmap = in_dims out_dims randomness
no_grad enable_grad inference_mode = mode
set_grad_enabled = mode
set_default_dtype = d
set_default_device = device
set_num_threads get_num_threads use_deterministic_algorithms = warn_only
is_inference_mode_enabled =
set_printoptions = precision threshold edgeitems linewidth sci_mode
get_default_dtype =
device = type index
Size =
from_numpy =
is_floating_point result_type = input
inverse det logdet pinverse = input
"""

_FUNCTIONAL = """
relu leaky_relu elu selu celu gelu silu mish relu6 hardtanh softplus softsign tanh sigmoid logsigmoid tanhshrink hardsigmoid hardswish prelu glu threshold softshrink hardshrink = input inplace lambd dim weight value negative_slope alpha beta threshold approximate min_val max_val
softmax log_softmax softmin = input dim dtype
mse_loss l1_loss = input target reduction
smooth_l1_loss huber_loss = input target reduction beta delta
binary_cross_entropy = input target weight reduction
binary_cross_entropy_with_logits = input target weight reduction pos_weight
cross_entropy = input target weight ignore_index reduction label_smoothing
nll_loss = input target weight ignore_index reduction
kl_div = input target reduction log_target
poisson_nll_loss gaussian_nll_loss = input target var log_input full eps reduction
hinge_embedding_loss margin_ranking_loss soft_margin_loss = input target input1 input2 margin reduction
cosine_similarity pairwise_distance = x1 x2 dim eps p
cosine_embedding_loss triplet_margin_loss = input1 input2 target anchor positive negative margin p reduction
linear = input weight bias
layer_norm = input normalized_shape weight bias eps
batch_norm = input running_mean running_var weight bias training momentum eps
gumbel_softmax = logits tau hard eps dim
multi_margin_loss multilabel_margin_loss = input target p margin weight reduction
cosine_embedding_loss = input1 input2 target margin reduction
normalize = input p dim eps
one_hot = tensor num_classes
dropout = input p training
embedding = input weight
bilinear = input1 input2 weight bias
interpolate = input size scale_factor mode align_corners
pad = input pad mode value
conv1d conv2d conv_transpose1d conv_transpose2d = input weight bias stride padding dilation groups
avg_pool1d avg_pool2d max_pool1d max_pool2d = input kernel_size stride padding
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool2d = input output_size
unfold fold = input output_size kernel_size stride padding
scaled_dot_product_attention = query key value is_causal
"""

_AUTOGRAD = """
backward = tensors grad_tensors retain_graph create_graph inputs
grad = outputs inputs grad_outputs retain_graph create_graph allow_unused materialize_grads only_inputs is_grads_batched
Variable = data requires_grad
no_grad enable_grad inference_mode = mode
set_grad_enabled set_detect_anomaly detect_anomaly = mode check_nan
gradcheck gradgradcheck = func inputs eps atol rtol raise_exception
functional.jacobian functional.hessian = func inputs create_graph strict vectorize
functional.vjp functional.jvp functional.hvp functional.vhp = func inputs v create_graph strict
forward_ad.dual_level =
forward_ad.make_dual forward_ad.unpack_dual = tensor tangent level
forward_ad.enter_dual_level forward_ad.exit_dual_level = level
graph.saved_tensors_hooks = pack_hook unpack_hook
graph.save_on_cpu = pin_memory
Function =
function.once_differentiable =
"""

_FUNC = """
grad grad_and_value = argnums has_aux
vjp = has_aux
jvp = func primals tangents has_aux
jacrev jacfwd hessian = argnums has_aux
vmap = in_dims out_dims randomness chunk_size
functional_call = module parameter_and_buffer_dicts args kwargs
"""

_LINALG = """
norm vector_norm matrix_norm = ord dim keepdim
det inv slogdet eigvalsh eigh svd qr cholesky solve matrix_power multi_dot matmul cross = A B x n UPLO full_matrices dim
"""

_NN = """
Module =
Linear Bilinear = in_features out_features in1_features in2_features bias dtype device
Sequential ModuleList ModuleDict ParameterList ParameterDict Identity =
ReLU ReLU6 LeakyReLU ELU SELU CELU GELU SiLU Mish Tanh Sigmoid Softplus Softsign LogSigmoid Hardtanh Hardsigmoid Hardswish Tanhshrink PReLU GLU Softmax LogSoftmax Softmin = negative_slope alpha dim inplace beta threshold approximate min_val max_val num_parameters init
Flatten Unflatten = start_dim end_dim dim unflattened_size
Dropout Dropout1d Dropout2d = p inplace
Conv1d Conv2d ConvTranspose1d ConvTranspose2d = in_channels out_channels kernel_size stride padding output_padding dilation groups bias padding_mode
MaxPool1d MaxPool2d AvgPool1d AvgPool2d = kernel_size stride padding dilation ceil_mode
AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveMaxPool2d = output_size
BatchNorm1d BatchNorm2d InstanceNorm1d InstanceNorm2d = num_features eps momentum affine track_running_stats
LayerNorm GroupNorm = normalized_shape num_groups num_channels eps elementwise_affine affine bias
Embedding = num_embeddings embedding_dim padding_idx max_norm
RNN LSTM GRU = input_size hidden_size num_layers bias batch_first dropout bidirectional nonlinearity
RNNCell LSTMCell GRUCell = input_size hidden_size bias nonlinearity
MultiheadAttention = embed_dim num_heads dropout bias batch_first
MSELoss L1Loss BCELoss BCEWithLogitsLoss CrossEntropyLoss NLLLoss SmoothL1Loss HuberLoss KLDivLoss PoissonNLLLoss GaussianNLLLoss SoftMarginLoss MultiMarginLoss HingeEmbeddingLoss MarginRankingLoss TripletMarginLoss CosineEmbeddingLoss = reduction weight pos_weight beta delta log_target log_input full eps p margin ignore_index label_smoothing size_average
CosineSimilarity PairwiseDistance = dim eps p keepdim
Parameter = data requires_grad
init.eye_ init.orthogonal_ init.trunc_normal_ = tensor mean std a b gain
utils.parameters_to_vector utils.vector_to_parameters = parameters vec
init.zeros_ init.ones_ init.constant_ init.normal_ init.uniform_ init.xavier_uniform_ init.xavier_normal_ = tensor val mean std a b gain
init.kaiming_uniform_ init.kaiming_normal_ = tensor a mode nonlinearity
utils.clip_grad_norm_ utils.clip_grad_value_ = parameters max_norm clip_value norm_type
"""

_OPTIM = """
SGD = params lr momentum weight_decay nesterov dampening maximize
Adam AdamW NAdam RAdam Adamax = params lr betas eps weight_decay amsgrad maximize
RMSprop = params lr alpha eps momentum weight_decay centered
Adagrad Adadelta = params lr lr_decay rho eps weight_decay
Rprop ASGD = params lr etas step_sizes
LBFGS = params lr max_iter max_eval tolerance_grad tolerance_change history_size line_search_fn
lr_scheduler.StepLR lr_scheduler.MultiStepLR lr_scheduler.ExponentialLR = optimizer step_size milestones gamma last_epoch
lr_scheduler.CosineAnnealingLR lr_scheduler.LinearLR lr_scheduler.ConstantLR = optimizer T_max eta_min start_factor end_factor factor total_iters last_epoch
lr_scheduler.LambdaLR = optimizer lr_lambda last_epoch
lr_scheduler.ReduceLROnPlateau = optimizer mode factor patience threshold cooldown min_lr eps
lr_scheduler.OneCycleLR = optimizer max_lr total_steps epochs steps_per_epoch pct_start
"""

_UTILS = """
data.Dataset =
data.TensorDataset =
data.DataLoader = dataset batch_size shuffle drop_last generator num_workers pin_memory
data.random_split = dataset lengths generator
checkpoint.checkpoint = use_reentrant preserve_rng_state
"""

_NUMPY = """
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

_PYTHON = """
random.seed random.random random.randint random.uniform random.gauss random.shuffle random.choice random.sample random.randrange = k
time.time time.perf_counter time.monotonic time.process_time =
copy.deepcopy copy.copy =
functools.partial = *
functools.reduce =
collections.OrderedDict collections.defaultdict = *
dataclasses.dataclass =
tqdm.tqdm tqdm.trange = desc total leave disable ncols unit
"""

_MATH = "exp expm1 log log2 log10 log1p sqrt sin cos tan asin acos atan atan2 sinh cosh tanh floor ceil trunc fabs isnan isinf isfinite isclose hypot erf gamma lgamma degrees radians copysign fmod pow fsum"

_DTYPES = "float32 float float64 double float16 half bfloat16 int8 int16 short int32 int int64 long uint8 bool complex64 complex128"

FUNCTIONS: Final[dict[str, frozenset[str]]] = {
    **_read(_BUILTINS),
    **_read(_TORCH, "torch."),
    **_read(_FUNCTIONAL, "torch.nn.functional."),
    **_read(_AUTOGRAD, "torch.autograd."),
    **_read(_FUNC, "torch.func."),
    **_read(_LINALG, "torch.linalg."),
    **_read(_NN, "torch.nn."),
    **_read(_OPTIM, "torch.optim."),
    **_read(_UTILS, "torch.utils."),
    **_read(_NUMPY, "numpy."),
    **_read(_PYTHON),
    **_read("is_available device_count synchronize empty_cache manual_seed manual_seed_all =", "torch.cuda."),
    **_read(_MATH, "math."),
}
"""Every function by its full name, with the keyword arguments it takes."""

EXCEPTIONS: Final = _words(
    """
    Exception RuntimeError ValueError TypeError IndexError KeyError AttributeError NameError ZeroDivisionError
    AssertionError NotImplementedError ArithmeticError OverflowError StopIteration
    """
)
"""Kinds of error that `except` and `raise` may name."""

CONSTANTS: Final = frozenset(
    {f"torch.{name}" for name in _DTYPES.split()}
    | {"torch.pi", "torch.e", "torch.inf", "torch.nan", "math.pi", "math.e", "math.inf", "math.nan", "math.tau"}
    | {"torch.Tensor", "torch.FloatTensor", "torch.__version__", "__name__"}
    | {
        f"numpy.{name}"
        for name in ["float32", "float64", "int32", "int64", "bool_", "pi", "e", "inf", "nan", "newaxis", "ndarray"]
    }
    | EXCEPTIONS
)
"""Every value by its full name."""

ENTRIES: Final = frozenset(FUNCTIONS) | CONSTANTS

ALIASES: Final = {
    "torch.special.": "torch.",
    "torch.functional.": "torch.",
    "torch.autograd.variable.": "torch.autograd.",
    "torch.autograd.function.": "torch.autograd.",
    "torch.nn.parameter.": "torch.nn.",
    "torch.nn.modules.": "torch.nn.",
    "torch.nn.utils.clip_grad.": "torch.nn.utils.",
    "torch.nn.utils.stateless.": "torch.func.",
    "torch.utils.data.dataset.": "torch.utils.data.",
    "torch.utils.data.dataloader.": "torch.utils.data.",
    "torch.random.": "torch.",
    "torch.autograd.grad_mode.": "torch.autograd.",
    "torch.autograd.anomaly_mode.": "torch.autograd.",
    "torch.autograd.gradcheck.": "torch.autograd.",
    "functorch.": "torch.func.",
    "tqdm.auto.": "tqdm.",
    "tqdm.notebook.": "tqdm.",
}
"""Where else torch keeps an entry of the table."""

EQUIVALENT: Final = {"torch.empty": "torch.zeros", "torch.empty_like": "torch.zeros_like", "numpy.empty": "numpy.zeros"}
"""What a name stands for here: memory that nobody wrote yet is shown as zeros."""

IMPLIED: Final = {
    "torch": "torch",
    "nn": "torch.nn",
    "F": "torch.nn.functional",
    "optim": "torch.optim",
    "math": "math",
    "np": "numpy",
}
"""Modules by the name snippets give them; they are there also without their import."""

MODULES: Final = _words(
    """
    torch torch.nn torch.nn.functional torch.nn.init torch.nn.utils torch.autograd torch.autograd.functional
    torch.autograd.forward_ad torch.autograd.variable torch.autograd.function torch.nn.parameter torch.func
    torch.linalg torch.optim torch.optim.lr_scheduler torch.cuda torch.special torch.autograd.graph torch.autograd.grad_mode
    torch.autograd.gradcheck torch.autograd.anomaly_mode torch.nn.modules torch.utils torch.utils.data torch.utils.checkpoint
    torch.random functorch numpy numpy.random numpy.linalg random time copy functools collections dataclasses tqdm tqdm.auto
    tqdm.notebook math __future__ typing
    """
)
"""What `import` and `from ... import` may name."""

_TENSOR = """
backward = gradient retain_graph create_graph inputs
requires_grad_ = requires_grad
detach_ retain_grad item tolist dim ndimension numel nelement element_size data_ptr is_contiguous contiguous stride = dim
numpy = force
register_hook register_post_accumulate_grad_hook =
is_inference is_same_size sum_to_size type_as select =
size = dim
zero_ double half bfloat16 long int short bool cpu cuda t_ tril_ triu_ = diagonal
fill_ copy_ = value src
normal_ = mean std generator
uniform_ = from to generator
random_ bernoulli_ exponential_ = generator
to = dtype device copy
type = dtype
type_as view_as reshape_as expand_as new_tensor new_zeros new_ones new_full = size dtype device requires_grad data fill_value
view reshape permute repeat expand = dtype
float =
softmax log_softmax = dim dtype
unflatten = dim sizes
unfold = dimension size step
index_put_ index_copy_ index_fill_ index_add_ scatter_ scatter_add_ masked_fill_ masked_scatter_ = dim index src source value
clamp_ clip_ = min max
add_ sub_ = other alpha
mul_ div_ pow_ remainder_ fmod_ = other exponent rounding_mode
neg_ exp_ log_ sqrt_ sin_ cos_ tan_ tanh_ sigmoid_ relu_ abs_ square_ reciprocal_ floor_ ceil_ round_ sign_ rsqrt_ log1p_ expm1_ =
squeeze_ unsqueeze_ transpose_ = dim dim0 dim1
addmm_ addcmul_ addcdiv_ lerp_ = mat1 mat2 beta alpha tensor1 tensor2 value weight end
eq_ lt_ gt_ =
is_complex clamp_min clamp_max =
resolve_conj =
"""

_NO_METHOD = _words(
    """
    tensor as_tensor zeros ones rand randn full eye arange linspace logspace randint randperm zeros_like ones_like
    rand_like randn_like full_like manual_seed cat concat concatenate stack hstack vstack dstack column_stack
    row_stack einsum tensordot vmap no_grad enable_grad inference_mode set_grad_enabled set_default_dtype
    set_printoptions device Size get_default_dtype broadcast_tensors meshgrid is_tensor is_grad_enabled cdist
    from_numpy normal result_type selu complex polar view_as_real initial_seed Generator std_mean var_mean trapz
    trapezoid bucketize searchsorted atleast_1d atleast_2d block_diag cartesian_prod combinations set_default_device
    set_num_threads get_num_threads use_deterministic_algorithms is_inference_mode_enabled
    """
)
"""Functions of torch that are no methods of a tensor."""

METHODS: Final[dict[str, dict[str, frozenset[str]]]] = {
    "tensor": {
        **{name: keys - {"input"} for name, keys in _read(_TORCH).items() if name not in _NO_METHOD},
        **_read(_TENSOR),
    },
    "list": _read("append extend insert pop reverse index count copy clear ="),
    "tuple": _read("index count ="),
    "dict": _read("items keys values get pop setdefault clear copy popitem move_to_end =\nupdate = *"),
    "set": _read("add remove discard union intersection difference update copy clear pop issubset issuperset ="),
    "str": _read(
        "format = *\nreplace count find index isdigit isalpha zfill splitlines join upper lower strip lstrip rstrip split ljust rjust center startswith endswith title capitalize ="
    ),
    "float": _read("is_integer ="),
    "node": _read("name register_hook register_prehook ="),
    "handle": _read("remove ="),
    "module": _read(
        "parameters named_parameters buffers named_buffers modules named_modules children named_children state_dict "
        "requires_grad_ train eval double float forward cpu cuda apply get_parameter extend append load_state_dict =\n"
        "register_forward_hook register_forward_pre_hook register_full_backward_hook =\n"
        "register_buffer register_parameter add_module register_module = name tensor param module persistent\n"
        "to = device dtype\nzero_grad = set_to_none\nitems keys values ="
    ),
    "optimizer": _read("step = closure\nzero_grad = set_to_none\nstate_dict add_param_group ="),
    "size": _read("numel index count ="),
    "context": _read("save_for_backward mark_non_differentiable mark_dirty set_materialize_grads ="),
    "function class": _read("apply ="),
    "array": _read(
        "tolist item dot copy flatten ravel transpose squeeze argsort nonzero fill =\n"
        "sum mean std var max min argmax argmin prod all any cumsum = axis keepdims dtype ddof\n"
        "reshape = shape\nastype = dtype\nclip = min max\nround = decimals"
    ),
    "numpy generator": _read(
        "random standard_normal = size\nnormal uniform = loc scale low high size\n"
        "integers choice = low high size a replace p\npermutation shuffle = x"
    ),
    "generator": _read("manual_seed initial_seed seed ="),
    "scheduler": _read("step = metrics\nget_last_lr state_dict ="),
    "finfo": {},
}
"""Every method by the kind of value it belongs to, with its keyword arguments; `*` is any."""

_ATTRIBUTES = """
tensor = grad grad_fn requires_grad is_leaf data shape dtype device ndim T mT H retains_grad output_nr _version _base is_cuda real imag itemsize nbytes layout
node = next_functions variable requires_grad _saved_self _saved_other _saved_result _saved_exponent _saved_mat1 _saved_mat2 _saved_tensor1 _saved_tensor2 _saved_input _saved_target _saved_weight _saved_dim _saved_alpha _saved_condition _saved_mask _saved_indices saved_tensors
module = weight bias training in_features out_features in_channels out_channels kernel_size stride padding running_mean running_var num_features
generator = device
optimizer = param_groups defaults state
context = saved_tensors needs_input_grad
named = values indices sign logabsdet eigenvalues eigenvectors primal tangent Q R U S Vh
array = shape dtype ndim size T nbytes
class = __name__
scheduler = last_epoch
type = __name__
error = args
function = __name__
device = type index
dtype = is_floating_point
complex = real imag
"""

ATTRIBUTES: Final = {
    kind.strip(): frozenset(names.split())
    for kind, names in (line.split(" = ") for line in _ATTRIBUTES.strip().splitlines())
}
"""Every attribute that can be read, by the kind of value it belongs to."""

ASSIGNABLE: Final = {"tensor": frozenset({"grad", "requires_grad", "data"})}
"""Every attribute that can be assigned."""

MEMBERS: Final = frozenset().union(*METHODS.values(), *ATTRIBUTES.values())
"""Every method and attribute of any kind of value: what may stand behind a dot."""

MEMBER_KEYWORDS: Final = {
    name: frozenset().union(*(table[name] for table in METHODS.values() if name in table))
    for name in frozenset().union(*METHODS.values())
}
"""Every method with the keywords that any kind of value takes for it."""
