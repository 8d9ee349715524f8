# ruff: noqa: E501  a row of a table is easier to read on one line
"""Modules, losses, optimizers and their data: `torch.nn`, `torch.nn.functional`, `torch.optim`, `torch.utils`."""

FUNCTIONAL = """
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
triplet_margin_loss = anchor positive negative margin p reduction
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

NN = """
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

OPTIM = """
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

UTILS = """
data.Dataset =
data.TensorDataset =
data.DataLoader = dataset batch_size shuffle drop_last generator num_workers pin_memory
data.random_split = dataset lengths generator
checkpoint.checkpoint = use_reentrant preserve_rng_state
"""
