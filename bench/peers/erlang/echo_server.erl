%% Answers what it is called with, and counts what is cast.
-module(echo_server).
-behaviour(gen_server).
-export([start/0, start_named/1, init/1, handle_call/3, handle_cast/2]).

start() -> gen_server:start(?MODULE, [], []).
start_named(Name) -> gen_server:start({local, Name}, ?MODULE, [], []).

init([]) -> {ok, 0}.

handle_call(seen, _From, Seen) -> {reply, Seen, Seen};
handle_call(reset, _From, _Seen) -> {reply, ok, 0};
handle_call(Message, _From, Seen) -> {reply, Message, Seen}.

handle_cast(_Message, Seen) -> {noreply, Seen + 1}.
