"""The sentences in which upstreams say what is wrong, where no code of theirs does: patterns of the rows in
`dialects.py`, which name their vendors. Case does not matter."""

NO_MONEY = (
    r"insufficient (?:account )?(?:balance|credits?|funds|quota)|balance (?:is |was )?(?:too low|insufficient)"
    r"|not enough (?:credits?|balance|funds)|(?:out of|no more|any|all available) credits?\b"
    r"|^no credits? (?:available|left|remaining)\b|requires? more credits"
    r"|credits? (?:balance |limit )?(?:is |are |(?:has|have) been )?(?:depleted|exhausted|exceeded|reached|expired)"
    r"|(?:billing|spend(?:ing)?|budget|key|credit) (?:hard )?(?:limit|cap)[^.]{0,30}(?:exceeded|reached|hit)"
    r"|(?:exceed|reach|hit)\w{0,6}[^.]{0,40}(?:spend(?:ing)?|billing|budget|credit) ?(?:limit|cap)"
    r"|monthly included credits"
    r"|budget (?:has been )?exceeded|exceeded ?(?:token)?budget|crossed budget|overdue|in arrears|arrearage"
    r"|please recharge"
    r"|top up your|good standing|payment required|calls / month|free tier of the model has been exhausted"
    r"|inactive subscription|credits? exhausted|valid credit card|add (?:a|your|or update your) payment method"
    r"|no (?:remaining|more|valid|active) (?:credits?|balance|funds|subscription)"
    r"|(?:a valid|active) subscription for your"
    r"|balance is (?:not enough|negative|below)|credits? (?:have|has) run out|exhausted your (?:free )?credits?"
    r"|trial (?:has |is )?(?:ended|expired|over)\b|\badd (?:more )?funds|payment failed|card (?:was |is )?declined"
    r"|欠费|余额不足|额度(?:不足|已?用尽|已?用完|已?耗尽)|套餐已?(?:过期|到期)|请(?:先|及时)?充值后"
)
QUOTA = r"exceeded your (?:current|monthly|free) (?:quota|usage|allowance)|plan and billing details"
OF_DAYS = (
    r"(?:per|by)[ _-]?(?:day|week|month)|\b(?:dai|week|month)ly\b"
    r"|\btoday.s\b|\b(?:week|month) allocated quota|今日|当日|\b[rt]p[dw]\b|/ ?day\b|per 86400|每[日天周月]"
)
"""A quota of a day or longer."""
CONTEXT = (
    r"maximum context length|context (?:length|window|size)[^.]{0,40}(?:exceed|too|limit)"
    r"|exceed\w{0,6}[^.]{0,60}(?:context (?:length|window|size)|maximum (?:number of |input )?tokens|tokens? limit)"
    r"|(?:prompt|input) is too long|too many tokens: total|tokens \+ [^.]{0,40} must be <="
    r"|must have less than \d+ tokens"
    r"|context length is only|max_model_len|longer than the (?:model's context|maximum model length)"
    r"|exceed context limit|greater than max_seq_len"
    r"|maximum prompt length|greater than the context length|context (?:the )?overflows|input tokens exceed"
    r"|exceed\w{0,6}[^.]{0,40}maximum (?:allowed |input |sequence |prompt )?length|input token count is \d+ but"
    r"|must be less than max_seq_len|exceed max message tokens"
    r"|input[^.;]{0,40}tokens?[^.;]{0,20}exceed\w{0,6}[^.;]{0,20}limit"
    r"|current length is \d+ while limit is|range of input length"
    r"|input (?:\(\d+ tokens\) )?is too large to process"
    r"|prompt contains \d+ tokens[^.]{0,60}too large|max size: \d+ tokens|prompt ?超长|超出最大长度"
    r"|(?:输入|内容|提示词?|上下文)[^。\n]{0,10}(?:过长|超长)|超过最大(?:上下文|输入)"
    r"|maximum supported sequence length|the max length of current question"
)
NO_MODEL = (
    r"\bmodels?\b[^;]{0,80}(?:does not exist|not exist|not found|is not (?:a valid|supported by|available)"
    r"|no longer (?:available|supported)|(?:has been|was) (?:deprecated|decommissioned|retired|removed|deactivated))"
    r"|^model: |(?:unknown|invalid|unsupported|unavailable|no such) model|not a valid model"
    r"|no (?:instance|worker|backend|replica)s? (?:found|available) for (?:the )?model|\bhas no provider supported"
    r"|llm provider not provided"
    r"|no endpoints found"
    r"|model identifier is invalid|on-demand throughput isn.t supported|模型(?:不存在|未找到)|不支持(?:的|该)模型"
    r"|unable to access (?:non-serverless )?model"
    r"|deployment for this resource does not exist|no deployments? (?:found|available) (?:for|with) model"
    r"|does not work with the specified model|not found the model|model version has reached the end"
    r"|marked by provider as legacy|model use case details have not been submitted"
    r"|\bendpoint (?:'' )?(?:is (?:paused|closed|disabled|scaled to zero)|does not exist)"
    r"|not a chat model|only supported in v1/"
    r"|^function\b[^;\n]{0,60}(?:not found for account|degraded)"
)
NOT_LOADED = (
    r"no models? (?:is|are) (?:currently )?loaded|\bmodel not found, uid|无可用渠道"
    r"|\bno (?:available )?channels? (?:available )?for (?:the )?model\b"
)
"""A server that runs, without the model."""
NO_MEMORY = (
    r"(?:requires|needs) more (?:system |gpu |video )?(?:memory|v?ram)\b|\bout of (?:\w+ )?(?:memory|v?ram)\b|\boom\b"
    r"|(?:not enough|insufficient|no) (?:\w+ ){0,2}(?:memory|v?ram|system resources|kv cache)\b"
    r"|(?:failed|unable|cannot|could not|couldn.t) (?:to )?(?:re)?alloc|\bbad_alloc\b|cudamalloc failed"
    r"|(?:failed|unable) to load (?:the )?model\b|error loading model\b|\bmodel failed to load\b"
)
"""A server without the memory for the model."""
NO_SLOT = (
    r"\bno (?:free |idle )?slots? (?:is |are )?(?:currently )?(?:available|free)|\bslots? unavailable"
    r"|all slots are busy"
    r"|\bmodel\b[^;\n]{0,80}(?:is|being) (?:still |currently )?(?:(?:load|start|warm)ing|being loaded)\b"
    r"|\bloading (?:the )?model"
    r"|model (?:is )?not (?:yet ready|ready(?: yet)?|yet loaded|loaded yet)"
)
"""A server that has no place, or whose model is not there yet."""
NOBODY_ALLOWED = (
    r"(?:no endpoints (?:found|available) (?:matching|that match) your|no allowed providers (?:are|found)"
    r"|all providers have been ignored)"
)
UNSUPPORTED = r"no endpoints (?:found|available) that (?:support|can handle)"
"""A parameter, or a kind of input, that nobody who serves the model takes."""
MODEL_DENIED = (
    r"(?:do(?:es)?(?: not|n.t) have|has no|have no|no) (?:access|permission)\b[^;\n]{0,60}\bmodels?\b"
    r"|model access is denied|must be verified to use the model"
    r"|access to (?:the )?model\b[^;\n]{0,80}(?:denied|restricted|forbidden|not )"
    r"|not (?:allowed|authori[sz]ed|permitted|entitled|eligible) (?:to|for)\b[^;\n]{0,40}\bmodels?\b"
    r"|\bmodels?\b[^;\n]{0,80}(?:is |are )(?:blocked|disabled|restricted|gated"
    r"|not (?:enabled|available|included|allowed))"
    r"|\bmodels?\b[^;\n]{0,80}(?:requires? an? [^;\n]{0,20}subscription|too large to be loaded|access denied)"
    r"|无权(?:访问|使用)[^。\n]{0,20}模型"
)
BANNED = (
    r"account\b[^.\n]{0,40}\b(?:banned|terminated|deactivated|disabled|locked|closed)\b"
    r"|access (?:was|is|has been) terminated|账[号户]已?被?(?:封禁|锁定|停用)"
)
NOT_HERE = (
    r"\b(?:countr(?:y|ies)|regions?|territor(?:y|ies)|locations?)\b[^.;]{0,60}"
    r"\bnot (?:supported|available|allowed|served)"
    r"|not (?:supported|available|allowed|offered) in (?:your|this) (?:current )?(?:country|region|territory|location)"
    r"|unsupported (?:country|region|territory|location)"
)
FILTERED = (
    r"content management policy|content[ _](?:policy|moderation|filter)|safety system|usage guidelines"
    r"|content exists risk"
    r"|inappropriate content|sensitive (?:content|words)|considered high risk|\bflagged\b|敏感|违规|prompt blocked"
    r"|content (?:is|was|has been) blocked|\bnew_sensitive\b"
)
UNREADABLE = (
    r"^(?:image|audio|video) input is not supported|^failed to parse (?:tools|messages|tool call arguments)\b"
    r"|^tools param requires\b|^(?:jinja exception|error rendering prompt with jinja)\b"
    r"|^conversation roles must alternate\b"
    r"|missing data required for image input"
)
"""A request that a model cannot take, or that nobody can."""
